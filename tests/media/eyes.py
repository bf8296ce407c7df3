"""Puppets that see, puppets that do not, and pictures for them."""

import base64
import itertools
import struct
import zlib

from web.driver import Puppet, say

from understudy.config import Images
from understudy.dialects import Quirks
from understudy.engines.pool import Pool
from understudy.language.request import Image
from understudy.language.target import Model

TEXT_MODEL = Model("coder", 65536, lacks=("images",))
VISION_MODEL = Model("vl", 32768)
SET = Images(describer="eyes/vl")


def png(shade):
    """A real PNG of one grey pixel."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes([0, shade]))),
        (b"IEND", b""),
    ]
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def b64png(shade):
    return base64.b64encode(png(shade)).decode()


def picture(shade):
    return Image("image/png", b64png(shade))


def block(shade):
    """As a client of Anthropic's dialect sends it."""
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": b64png(shade)}}


def text_only(*answers, name="coder", models=(TEXT_MODEL,), **facts):
    """An engine whose model cannot see, and that says so beforehand."""
    return Puppet(*answers, name=name, models=models, **facts)


def eyes(*answers, **facts):
    """An engine that describes."""
    return Puppet(*(answers or [[say("It shows a cat.")]]), name="eyes", models=(VISION_MODEL,), **facts)


def sightless(**facts):
    """An engine that is set to get no pictures."""
    return Puppet(name="coder", quirks=Quirks(images=False), **facts)


async def pool_of(*engines):
    pool = Pool(engines)
    await pool.start()
    return pool


def counting():
    """A `new_id`."""
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}{next(numbers)}"


def described(text="It shows a cat.", by="eyes/vl"):
    return f"[A picture, which you cannot see. {by} describes it:]\n{text}\n[End of the picture.]"
