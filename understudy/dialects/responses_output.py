"""The items of an answer in the Responses API, and the events by which each of them comes.

    message         item added, part added, text deltas, text done, part done, item done
    reasoning       the same with its own deltas: as a summary, or as its text; item added and done where it is only packed
    function call   item added, argument deltas, arguments done, item done
    custom call     item added, its input as one delta, input done, item done
    native calls    item added, item done: the stream has no deltas for them

Every event gets its number from the Encoder. What stands before a delta's text is made once for each item: deltas are the
gateway's innermost loop.
"""

from typing import Any, Final, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

from understudy.dialects.responses_items import sealed
from understudy.dialects.responses_tools import NATIVE, SEARCH, Native, Way, as_text, in_place
from understudy.dialects.words import clean
from understudy.language.request import Thinking

Step = tuple[bytes, bytes]
"""An event's type, and its own fields as JSON without their braces."""

_JSON = msgspec.json.Encoder()
_json = _JSON.encode


class Output(Protocol):
    """One item of an answer."""

    delta: bytes
    """What stands before the text of a delta; b"" where nothing is said of pieces."""

    def opening(self) -> list[Step]:
        """What is said when it begins."""
        ...

    def closing(self, text: str, status: str) -> list[Step]:
        """What is said when all of its text is known."""
        ...

    def item(self, text: str, status: str, *, seal: bool) -> bytes:
        """The whole item; `seal` packs into it what only we can read."""
        ...


# ---- items as they are written ----


class OutputText(Struct, tag="output_text", tag_field="type"):
    """The text of a message."""

    text: str
    annotations: tuple[()] = ()
    logprobs: tuple[()] = ()


class MessageItem(Struct, tag="message", tag_field="type"):
    """What the model says."""

    id: str
    status: str
    content: list[OutputText]
    role: str = "assistant"


class SummaryText(Struct, tag="summary_text", tag_field="type"):
    """Reasoning where a summary was asked for."""

    text: str


class ReasoningText(Struct, tag="reasoning_text", tag_field="type"):
    """Reasoning as the model wrote it."""

    text: str


class ReasoningItem(Struct, tag="reasoning", tag_field="type"):
    """What the model thinks."""

    id: str
    summary: list[SummaryText]
    content: list[ReasoningText] = []
    encrypted_content: str | UnsetType = UNSET


class FunctionItem(Struct, tag="function_call", tag_field="type"):
    """A call of a function."""

    id: str
    status: str
    arguments: str
    call_id: str
    name: str
    namespace: str | UnsetType = UNSET


class CustomItem(Struct, tag="custom_tool_call", tag_field="type"):
    """A call of a custom tool."""

    id: str
    status: str
    call_id: str
    input: str
    name: str
    namespace: str | UnsetType = UNSET


# ---- what they do ----


def _head(kind: bytes, fields: bytes) -> bytes:
    return b'event: %b\ndata: {"type":"%b",%b,"delta":' % (kind, kind, fields)


def _added(index: int, item: bytes) -> Step:
    return b"response.output_item.added", b'"output_index":%d,"item":%b' % (index, item)


def _done(index: int, item: bytes) -> Step:
    return b"response.output_item.done", b'"output_index":%d,"item":%b' % (index, item)


class Said:
    """A message."""

    def __init__(self, key: str, index: int) -> None:
        self._key, self._index = f"msg_{key}", index
        self._at = b'"item_id":%b,"output_index":%d,"content_index":0' % (_json(self._key), index)
        self.delta = _head(b"response.output_text.delta", self._at + b',"logprobs":[]')

    def opening(self) -> list[Step]:
        """See `Output`."""
        item = _json(MessageItem(self._key, "in_progress", []))
        part = self._at + b',"part":' + _json(OutputText(""))
        return [_added(self._index, item), (b"response.content_part.added", part)]

    def closing(self, text: str, status: str) -> list[Step]:
        """See `Output`."""
        said, part = _json(clean(text)), _json(OutputText(clean(text)))
        return [
            (b"response.output_text.done", self._at + b',"logprobs":[],"text":' + said),
            (b"response.content_part.done", self._at + b',"part":' + part),
            _done(self._index, self.item(text, status, seal=False)),
        ]

    def item(self, text: str, status: str, *, seal: bool) -> bytes:
        """See `Output`."""
        del seal  # it is all in the open
        return _json(MessageItem(self._key, status, [OutputText(clean(text))]))


class Shown(Struct, frozen=True):
    """How reasoning is shown: the names of its events, and of the number of its part."""

    text: bytes
    part: bytes
    place: bytes


SUMMARY: Final = Shown(
    b"response.reasoning_summary_text", b"response.reasoning_summary_part", b"summary_index"
)
"""As a summary. It is the reasoning itself: no local model sums itself up."""
PLAIN: Final = Shown(b"response.reasoning_text", b"response.content_part", b"content_index")
"""As the model wrote it."""


class Thought:
    """Reasoning.

    Args:
        key: of its id.
        index: its place in the answer.
        shown: how; None where it is only packed.
        seal: whether it is packed, to be sent back.
    """

    def __init__(self, key: str, index: int, shown: Shown | None, *, seal: bool) -> None:
        self._key, self._index, self._shown, self._seal = f"rs_{key}", index, shown, seal
        self._at = self.delta = b""
        self.signature = ""
        if shown is not None:
            self._at = b'"item_id":%b,"output_index":%d,"%b":0' % (_json(self._key), index, shown.place)
            self.delta = _head(shown.text + b".delta", self._at)

    def opening(self) -> list[Step]:
        """See `Output`."""
        begun = [_added(self._index, _json(ReasoningItem(self._key, [])))]
        if self._shown is not None:
            begun.append((self._shown.part + b".added", self._at + b',"part":' + self._part("")))
        return begun

    def closing(self, text: str, status: str) -> list[Step]:
        """See `Output`."""
        done = _done(self._index, self.item(text, status, seal=self._seal))
        if self._shown is None:
            return [done]
        said = self._at + b',"text":' + _json(clean(text))
        part = self._at + b',"part":' + self._part(text)
        return [(self._shown.text + b".done", said), (self._shown.part + b".done", part), done]

    def _part(self, text: str) -> bytes:
        return _json(SummaryText(clean(text)) if self._shown is SUMMARY else ReasoningText(clean(text)))

    def item(self, text: str, status: str, *, seal: bool) -> bytes:
        """See `Output`."""
        del status  # reasoning has none
        item = ReasoningItem(self._key, [])
        if self._shown is SUMMARY:
            item.summary = [SummaryText(clean(text))]
        elif self._shown is PLAIN:
            item.content = [ReasoningText(clean(text))]
        if seal or self._seal:
            item.encrypted_content = sealed(Thinking(clean(text), self.signature))
        return _json(item)


class FunctionCall:
    """A call of a function."""

    def __init__(self, key: str, index: int, call: str, way: Way) -> None:
        self._key, self._index, self._call, self._way = f"fc_{key}", index, call, way
        self._at = b'"item_id":%b,"output_index":%d' % (_json(self._key), index)
        self.delta = _head(b"response.function_call_arguments.delta", self._at)

    def opening(self) -> list[Step]:
        """See `Output`."""
        return [_added(self._index, self.item("", "in_progress", seal=False))]

    def closing(self, text: str, status: str) -> list[Step]:
        """See `Output`."""
        return [
            (b"response.function_call_arguments.done", self._at + b',"arguments":' + _json(clean(text))),
            _done(self._index, self.item(text, status, seal=False)),
        ]

    def item(self, text: str, status: str, *, seal: bool) -> bytes:
        """See `Output`."""
        del seal
        way = self._way
        return _json(
            FunctionItem(self._key, status, clean(text), self._call, way.name, way.namespace or UNSET)
        )


class CustomCall:
    """A call of a custom tool: its arguments hold its input, which can be said when they are whole."""

    delta = b""

    def __init__(self, key: str, index: int, call: str, way: Way) -> None:
        self._key, self._index, self._call, self._way = f"ctc_{key}", index, call, way
        self._at = b'"item_id":%b,"output_index":%d' % (_json(self._key), index)

    def opening(self) -> list[Step]:
        """See `Output`."""
        return [_added(self._index, self._written("", "in_progress"))]

    def closing(self, text: str, status: str) -> list[Step]:
        """See `Output`."""
        whole = _json(clean(as_text(text)))
        return [
            (b"response.custom_tool_call_input.delta", self._at + b',"delta":' + whole),
            (b"response.custom_tool_call_input.done", self._at + b',"input":' + whole),
            _done(self._index, self.item(text, status, seal=False)),
        ]

    def item(self, text: str, status: str, *, seal: bool) -> bytes:
        """See `Output`."""
        del seal
        return self._written(clean(as_text(text)), status)

    def _written(self, text: str, status: str) -> bytes:
        way = self._way
        return _json(CustomItem(self._key, status, self._call, text, way.name, way.namespace or UNSET))


class NativeCall:
    """A call of a tool whose form is the API's own: it is said when it is whole."""

    delta = b""

    def __init__(self, key: str, index: int, call: str, native: Native) -> None:
        self._key, self._index, self._call, self._native = f"{native.mark}_{key}", index, call, native

    def opening(self) -> list[Step]:
        """See `Output`."""
        return []

    def closing(self, text: str, status: str) -> list[Step]:
        """See `Output`."""
        begun = self.item(text, "in_progress", seal=False)
        return [_added(self._index, begun), _done(self._index, self.item(text, status, seal=False))]

    def item(self, text: str, status: str, *, seal: bool) -> bytes:
        """See `Output`."""
        del seal
        native = self._native
        item: dict[str, Any] = {  # which fields it has is in the table
            "type": native.call,
            "id": self._key,
            "call_id": self._call,
            "status": status,
            native.field: in_place(native, clean(text)),
        }
        if native is NATIVE[SEARCH]:
            item["execution"] = "client"
        return _json(item)


def call_of(key: str, index: int, call: str, way: Way) -> Output:
    """A call, in the form of the tool that is called."""
    if way.kind in NATIVE:
        return NativeCall(key, index, call, NATIVE[way.kind])
    return CustomCall(key, index, call, way) if way.kind == "custom" else FunctionCall(key, index, call, way)
