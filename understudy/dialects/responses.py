"""OpenAI's Responses API (https://platform.openai.com/docs/api-reference/responses), toward clients only.

    responses_wire      the structs of a question, and how a wrong field is named
    responses_tools     tools: what the model is offered, and how its calls are given back
    responses_items     items of a conversation -> blocks
    responses_parse     a client's body -> Request
    responses_object    the response object
    responses_output    the items of an answer, and the events by which they come
    responses_stream    events -> a client's stream
    here                one exchange, errors, and DIALECT

Answers are kept, and a question may go on from an earlier one by its id. So a question is read in two steps: `read` tells
what has to be looked up, and `exchange` makes of it all a dialect for this question and its answer alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from understudy.dialects import Told
from understudy.dialects.responses_items import kind_of
from understudy.dialects.responses_object import Sheet, conversation_of
from understudy.dialects.responses_parse import items_of, parse, read_ask
from understudy.dialects.responses_stream import Encoder, Wishes
from understudy.dialects.responses_wire import Ask, ItemKind, decoded
from understudy.dialects.words import clean
from understudy.language.errors import (
    BadField,
    BadRequest,
    EngineBusy,
    EngineRefused,
    NoTarget,
    PromptTooLong,
    Refused,
    Unauthorized,
    UnderstudyError,
)
from understudy.language.message import Message, replay
from understudy.language.request import Request

_json = msgspec.json.encode
_KIND = msgspec.json.Decoder(ItemKind)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])

STREAM: Final = "text/event-stream"
CODES: Final[tuple[tuple[type[UnderstudyError], str, str | None], ...]] = (
    (PromptTooLong, "invalid_request_error", "context_length_exceeded"),
    (Unauthorized, "invalid_request_error", "invalid_api_key"),
    (Refused, "rate_limit_error", "rate_limit_exceeded"),
    (BadRequest, "invalid_request_error", None),
    (EngineRefused, "invalid_request_error", None),
    (NoTarget, "invalid_request_error", None),
    (EngineBusy, "server_error", "server_is_overloaded"),
    (UnderstudyError, "server_error", None),
)
"""`type` and `code` of an error."""
MARKS: Final[Mapping[str, str]] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fc",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctc",
}
"""What the ids of items begin with."""


class Question:
    """See `dialects.Asked`."""

    def __init__(self, body: bytes) -> None:
        ask = self._ask = read_ask(body)
        self._items = items_of(ask)
        self.stream = bool(ask.stream)
        self.store = ask.store is not False
        self.background = bool(ask.background)
        self.previous = ask.previous_response_id or ""
        self.conversation = conversation_of(ask)
        referring = self._items if b'"item_reference"' in body else ()
        self.references = tuple([name for name in map(_referred, referring) if name])

    def exchange(
        self, history: Sequence[bytes], found: Mapping[str, bytes], answer_id: str, clock: Callable[[], float]
    ) -> "Exchange":
        """See `dialects.Asked.exchange`."""
        own = [found.get(_referred(raw), raw) for raw in self._items] if self.references else self._items
        return Exchange(self._ask, history, own, Sheet(self._ask, answer_id, clock))


def _referred(raw: bytes) -> str:
    """The id of the item that is meant, if this is only a reference."""
    if b'"item_reference"' not in raw:
        return ""
    item = decoded(_KIND, raw, "input")
    return item.id or "" if item.type == "item_reference" else ""


class Exchange:
    """One question and its answer. See `dialects.Exchange`."""

    name = "responses"
    stream_type = STREAM

    def __init__(self, ask: Ask, history: Sequence[bytes], own: Sequence[bytes], sheet: Sheet) -> None:
        self.asked = tuple(own)
        self._sheet = sheet
        self._request, offer = parse(ask, history, own)
        self._ways = offer.ways
        self._wishes = Wishes(
            bool(ask.reasoning and (ask.reasoning.summary or ask.reasoning.generate_summary)),
            "reasoning.encrypted_content" in (ask.include or ()),
            bool(ask.background),
        )
        self._first = self._writer()
        self._unused: Encoder | None = self._first
        self.told: Told | None = None

    def _writer(self) -> Encoder:
        return Encoder(self._sheet, self._ways, self._wishes, self._ended)

    def _ended(self, told: Told) -> None:
        self.told = self.told or told

    def parse(self, body: bytes) -> Request:
        """The question: it has been read."""
        del body
        return self._request

    def encoder(self, request: Request, model: str) -> Encoder:
        """Writes the answer's stream. The first that is asked for knows how far it is; others may read along."""
        del request, model
        writer, self._unused = self._unused or self._writer(), None
        return writer

    def whole(self, message: Message, request: Request, model: str) -> bytes:
        """A non-streaming answer: what a stream of it would have added up to."""
        self.encoder(request, model).encode(replay(message))
        return self.told.body if self.told else b""

    def error(self, error: UnderstudyError, request_id: str) -> bytes:
        """An error's body."""
        return error_body(error, request_id)

    def pending(self) -> bytes:
        """The body of an answer that has not ended yet."""
        return self._first.pending()

    def cancelled(self) -> Told:
        """The answer, ended because nobody wants it any more."""
        self.told = self.told or self._first.cancelled()
        return self.told


def _whole_item(raw: bytes, key: str) -> bytes:
    """An item with all that the API shows of it, whatever the client left out."""
    fields = _FIELDS.decode(raw)
    kind = kind_of(_KIND.decode(raw), "input")
    given_id = fields.get("id", Raw(b"null"))
    own = given_id if bytes(given_id) != b"null" else Raw(_json(f"{MARKS.get(kind, 'item')}_{key}"))
    fields |= {"id": own, "type": Raw(_json(kind))}
    if kind == "message" and bytes(fields["content"]).startswith(b'"'):
        said = "output_text" if bytes(fields["role"]) == b'"assistant"' else "input_text"
        fields["content"] = Raw(b'[{"type":"%b","text":%b}]' % (said.encode(), bytes(fields["content"])))
    if kind == "message":
        fields.setdefault("status", Raw(b'"completed"'))
    return _json(fields)


def error_body(error: UnderstudyError, request_id: str = "") -> bytes:
    """An error as the whole answer."""
    kind, code = next((kind, code) for cls, kind, code in CODES if isinstance(error, cls))
    field = None
    if isinstance(error, BadField):
        field, code = error.field or None, error.code
    said = {"message": clean(error.message), "type": kind, "param": field, "code": code}
    told: dict[str, object] = {"error": said}
    return _json(told | {"request_id": request_id} if request_id else told)


class Responses:
    """See `dialects.KeepingDialect`."""

    name = "responses"

    def read(self, body: bytes) -> Question:
        """What a client asks, as far as it can be read by itself."""
        return Question(body)

    def listed(self, answer_id: str, asked: Sequence[bytes]) -> list[bytes]:
        """What the question of that answer said: every item with an id and a type."""
        key = answer_id.partition("_")[2]
        return [_whole_item(raw, f"{key}-i{number}") for number, raw in enumerate(asked)]

    def error(self, error: UnderstudyError, request_id: str) -> bytes:
        """An error's body."""
        return error_body(error, request_id)


DIALECT = Responses()
"""The dialect, as `dialects.keeping_dialect` finds it."""
