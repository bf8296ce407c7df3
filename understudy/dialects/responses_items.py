"""The items of a conversation in the Responses API, read: each becomes blocks of one side of the canonical conversation.

Every kind has its reader in one table. What OpenAI's servers did by themselves, and kinds this version does not know, are
kept as Unknown and never an error.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from understudy.dialects.responses_tools import (
    NATIVE,
    NOTHING,
    SEARCH,
    Native,
    Offer,
    as_arguments,
    offered_name,
    read_found,
)
from understudy.dialects.responses_wire import (
    Item,
    ItemKind,
    Part,
    ShellOutput,
    decoded,
    given,
    invalid,
    missing,
)
from understudy.language.errors import BadField, NoTarget
from understudy.language.kept import Kept
from understudy.language.request import (
    Block,
    Document,
    Image,
    Role,
    Text,
    Thinking,
    ToolReference,
    ToolResult,
    ToolUse,
    Unknown,
    change,
)

_KIND = msgspec.json.Decoder(ItemKind)
_ITEM = msgspec.json.Decoder(Item)
_PART = msgspec.json.Decoder(Part)
_TEXT = msgspec.json.Decoder(str)
_TEXT_OR_PARTS = msgspec.json.Decoder(str | list[Raw])
_SHELL = msgspec.json.Decoder(list[ShellOutput])
_SEALED = msgspec.json.Decoder(tuple[str, str])

_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)
_SEAL: Final = "understudy."
"""What our `encrypted_content` begins with: reasoning of a local model is no secret, only out of the way."""
_ROLES: Final[Mapping[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}

Content = Text | Image | Document | ToolReference | Unknown


class Piece(Struct, frozen=True):
    """What one item means.

    Attributes:
        role: whose it is.
        blocks: what it says.
        id: its own id; "" where it has none.
        kind: its type.
        call: the id of the call that it makes, or that it answers; of nothing else.
        offer: tools that it brings.
        known: whether it could be carried.
    """

    role: Role
    blocks: tuple[Block, ...]
    id: str = ""
    kind: str = ""
    call: str = ""
    offer: Offer = NOTHING
    known: bool = True


_KEPT: Kept[bytes, Piece] = Kept(4 * 1024 * 1024)
"""Items by their bytes: an agent sends its whole history with every turn."""


def read_item(raw: bytes, place: str) -> Piece:
    """What an item means: the same object as long as it is kept.

    Raises:
        BadField: it cannot be read.
        NoTarget: it names another item, which was not found.
    """
    found = _KEPT.get(raw)
    if found is not None:
        return found
    head = decoded(_KIND, raw, place)
    kind = kind_of(head, place)
    reader = _READERS.get(kind)
    piece = reader(decoded(_ITEM, raw, place), place) if reader else _strange(kind, raw)
    return _KEPT.put(raw, change(piece, id=head.id or "", kind=kind), len(raw))


def kind_of(item: ItemKind, place: str) -> str:
    """The kind of an item; one without a type is a message if it has a role, and a reference if it has an id only.

    Raises:
        BadField: it has neither.
    """
    kind = item.type or ("message" if item.role else "item_reference" if item.id else "")
    if not kind:
        raise missing(f"{place}.type")
    return kind


def _strange(kind: str, raw: bytes) -> Piece:
    """An item of OpenAI's own tools, or of a kind this version does not know: it is kept, and never an error."""
    role: Role = "user" if kind.endswith(("_output", "_response")) else "assistant"
    return Piece(role, (Unknown(kind, raw.decode("utf-8", "replace")),), known=False)


def _message(item: Item, place: str) -> Piece:
    role = _ROLES.get(item.role or "")
    if role is None:
        raise invalid(f"{place}.role", item.role or "", "'assistant', 'system', 'developer', and 'user'")
    if item.content is None:
        raise missing(f"{place}.content")
    return Piece(role, _content(item.content, f"{place}.content"))


def _content(content: str | list[Raw], place: str) -> tuple[Content, ...]:
    if isinstance(content, str):
        return (Text(content),) if content else ()
    parts = [_part(raw, f"{place}[{number}]") for number, raw in enumerate(content)]
    return tuple([part for part in parts if not (isinstance(part, Text) and not part.text)])


def _part(raw: Raw, place: str) -> Content:
    part = decoded(_PART, raw, place)
    match part.type:
        case "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text":
            if part.text is None:
                raise missing(f"{place}.text")
            return Text(part.text)
        case "refusal" if part.refusal is not None:
            return Text(part.refusal)
        case "input_image" if part.image_url is not None:
            return _image(part.image_url, f"{place}.image_url")
        case "input_file" if part.file_data or part.file_url:
            return _file(part, f"{place}.file_data")
        case _:  # files that were uploaded somewhere else, sound, new kinds
            return Unknown(part.type, bytes(raw).decode("utf-8", "replace"))


def _image(url: str, place: str) -> Image:
    if url[:5].lower() != "data:":
        return Image(url=url)
    media_type, data = _data(url, place)
    return Image(media_type, data)


def _file(part: Part, place: str) -> Document:
    title = part.filename or ""
    if not part.file_data:
        return Document(url=part.file_url or "", title=title)
    media_type, data = _data(part.file_data, place)
    if not media_type.startswith("text/"):
        return Document(media_type, data, title=title)
    try:
        return Document(media_type, text=b64decode(data).decode("utf-8", "replace"), title=title)
    except binascii.Error:
        raise _no_data(place) from None


def _data(url: str, place: str) -> tuple[str, str]:
    found = _DATA_URL.match(url)
    if found is None:
        raise _no_data(place)
    return found[1], url[found.end() :]


def _no_data(place: str) -> BadField:
    return BadField(
        place, f"Invalid '{place}'. Expected a base64-encoded data URL with a MIME type", "invalid_value"
    )


def _function(item: Item, place: str) -> Piece:
    name = offered_name(_need(item.name, f"{place}.name"), item.namespace)
    arguments = _text(item.arguments, f"{place}.arguments")
    return _use(item, place, name, arguments or "{}")


def _custom(item: Item, place: str) -> Piece:
    name = offered_name(_need(item.name, f"{place}.name"), item.namespace)
    return _use(item, place, name, as_arguments(_text(item.input, f"{place}.input")))


def _use(item: Item, place: str, name: str, arguments: str) -> Piece:
    call = _need(item.call_id, f"{place}.call_id")
    return Piece("assistant", (ToolUse(call, name, arguments),), call=call)


def _native(tool: str, native: Native) -> "Callable[[Item, str], Piece]":
    def read(item: Item, place: str) -> Piece:
        raw: Raw = getattr(item, native.field)
        if not given(raw):
            raise missing(f"{place}.{native.field}")
        if tool == SEARCH and item.execution != "client":
            return Piece("assistant", ())  # OpenAI's servers searched by themselves
        return _use(item, place, tool, bytes(raw).decode())

    return read


def _output(item: Item, place: str) -> Piece:
    call = _need(item.call_id or item.id, f"{place}.call_id")
    if not given(item.output):
        raise missing(f"{place}.output")
    content = _content(decoded(_TEXT_OR_PARTS, item.output, f"{place}.output"), f"{place}.output")
    return Piece("user", (ToolResult(call, content),), call=call)


def _shell_output(item: Item, place: str) -> Piece:
    call = _need(item.call_id, f"{place}.call_id")
    words = [_shell_words(one) for one in decoded(_SHELL, item.output, f"{place}.output")]
    return Piece("user", (ToolResult(call, (Text("\n\n".join(words)),)),), call=call)


def _shell_words(output: ShellOutput) -> str:
    ended = "ran out of time"
    if output.outcome is None or output.outcome.exit_code is not None:
        ended = f"exit code {output.outcome.exit_code if output.outcome else 0}"
    return "\n".join([text for text in (output.stdout, output.stderr, f"[{ended}]") if text])


def _patch_output(item: Item, place: str) -> Piece:
    call = _need(item.call_id, f"{place}.call_id")
    text = _text(item.output, f"{place}.output") if given(item.output) else item.status or ""
    return Piece("user", (ToolResult(call, (Text(text),), is_error=item.status == "failed"),), call=call)


def _search_output(item: Item, place: str) -> Piece:
    offer = read_found(item.tools, f"{place}.tools")
    found = tuple([ToolReference(tool.name) for tool in offer.tools])
    if item.execution != "client":
        return Piece("user", found, offer=offer)
    call = _need(item.call_id, f"{place}.call_id")
    result = ToolResult(call, found or (Text("No tool was found."),))
    return Piece("user", (result,), call=call, offer=offer)


def _more_tools(item: Item, place: str) -> Piece:
    offer = read_found(item.tools, f"{place}.tools")
    return Piece("user", tuple([ToolReference(tool.name) for tool in offer.tools]), offer=offer)


def _reasoning(item: Item, place: str) -> Piece:
    if opened := unsealed(item.encrypted_content or ""):
        return Piece("assistant", (opened,))
    content = item.content if isinstance(item.content, list) and item.content else item.summary
    parts = [_part(raw, f"{place}.content[{number}]") for number, raw in enumerate(content or ())]
    text = "\n\n".join([part.text for part in parts if isinstance(part, Text)])
    return Piece("assistant", (Thinking(text),) if text else ())


def _unknown_reference(item: Item, place: str) -> Piece:
    del place
    raise NoTarget(
        f"Item with id '{item.id}' not found. Items are kept for a while where 'store' is not false; "
        "send the item itself instead"
    )


_READERS: "Final[Mapping[str, Callable[[Item, str], Piece]]]" = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function,
    "function_call_output": _output,
    "custom_tool_call": _custom,
    "custom_tool_call_output": _output,
    **{native.call: _native(tool, native) for tool, native in NATIVE.items()},
    "local_shell_call_output": _output,
    "shell_call_output": _shell_output,
    "apply_patch_call_output": _patch_output,
    "tool_search_output": _search_output,
    "additional_tools": _more_tools,
    "item_reference": _unknown_reference,
}


def _need(value: str | None, place: str) -> str:
    if not value:
        raise missing(place)
    return value


def _text(raw: Raw, place: str) -> str:
    if not given(raw):
        raise missing(place)
    return decoded(_TEXT, raw, place)


def sealed(thought: Thinking) -> str:
    """Reasoning, packed so that a client carries it and does not show it."""
    return _SEAL + b64encode(msgspec.json.encode((thought.text, thought.signature))).decode()


def unsealed(text: str) -> Thinking | None:
    """The other way round; None for what others have sealed: only they can read it."""
    if not text.startswith(_SEAL):
        return None
    try:
        return Thinking(*_SEALED.decode(b64decode(text[len(_SEAL) :])))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        return None
