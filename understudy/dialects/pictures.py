"""Pictures in questions, as far as they are looked at without being opened: whether their text is base64, and of what."""

import binascii

MEDIA_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
"""What models that see are trained on, and every API takes."""
_MAGIC = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklG": "image/webp"}
"""How the base64 text of each kind begins."""


def is_base64(text: str) -> bool:
    """Whether the text is base64 of something; line ends in it are nobody's concern."""
    if "\n" in text or "\r" in text:
        text = text.replace("\n", "").replace("\r", "")
    try:
        return bool(binascii.a2b_base64(text, strict_mode=True))
    except ValueError:  # binascii.Error is one, and so is text beyond ASCII
        return False


def media_type_of(data: str) -> str:
    """Of which kind a picture is, where its wire does not say."""
    return next((kind for start, kind in _MAGIC.items() if data.startswith(start)), "image/png")
