"""/v1/messages: Anthropic's dialect, as Claude Code speaks it and other gateways answer it.

https://docs.anthropic.com/en/api/messages and https://docs.anthropic.com/en/docs/build-with-claude/streaming. What no
answer depends on is never refused: Claude Code answers a 400 with a ladder of up to six poorer requests.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Raw

from understudy.dialects import PLAIN, NewId, Quirks, sse
from understudy.dialects import anthropic_wire as wire
from understudy.dialects.anthropic_handover import Change, changed
from understudy.dialects.anthropic_parse import read
from understudy.dialects.anthropic_stream import Decoder
from understudy.dialects.anthropic_verbatim import StreamReader, WholeReader
from understudy.dialects.anthropic_web import (
    WireResult,
    citation_event,
    events_of,
    usage_of,
    wire_cited,
    written,
    written_tool,
)
from understudy.dialects.anthropic_wire import unparsed
from understudy.dialects.refusal import refusal
from understudy.dialects.words import clean
from understudy.language.errors import UnderstudyError
from understudy.language.events import (
    BlockKind,
    BlockStart,
    BlockStop,
    CitationDelta,
    Event,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Served,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Usage,
    Verbatim,
)
from understudy.language.message import Cited, Message
from understudy.language.message import Part as AnswerPart
from understudy.language.request import (
    Block,
    Document,
    Image,
    Request,
    Role,
    Text,
    Thinking,
    Tool,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
    Unknown,
)
from understudy.language.web import ServerToolUse, WebResult

_JSON = msgspec.json.Encoder()
_json = _JSON.encode

# ---- render ----

MAX_TOKENS = 4096
"""`max_tokens` is required here; this is asked for where the client set no limit."""
_LEAST_BUDGET = 1024


def _question(request: Request, quirks: Quirks) -> wire.Question:
    tools, choice = _offer(request, quirks)
    sampling = request.sampling
    return wire.Question(
        model=request.model,
        messages=[_turn(turn, quirks) for turn in request.turns],
        max_tokens=sampling.max_tokens or MAX_TOKENS,
        system=[Text(clean(block.text)) for block in request.system],
        tools=tools,
        tool_choice=choice,
        thinking=_thinking_wish(request),
        output_config=_output(request),
        stop_sequences=sampling.stop,
        # Other dialects allow 2, this one refuses it.
        temperature=None if sampling.temperature is None else min(sampling.temperature, 1.0),
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        metadata=wire.WireMetadata(request.user) if request.user else None,
        stream=True,
    )


def _offer(request: Request, quirks: Quirks) -> tuple[list[wire.WireTool], wire.WireToolChoice | None]:
    if not (quirks.tools and request.tools):
        return [], None
    choice, offered = request.tool_choice, request.tools
    mode, name = choice.mode, choice.name
    if mode == "tool" and not quirks.named_tool_choice:
        offered, mode, name = tuple(tool for tool in offered if tool.name == name), "any", ""
    tools = [_tool(tool) for tool in offered]
    if mode == "auto" and choice.parallel:
        return tools, None
    serial = None if choice.parallel or mode == "none" else True
    return tools, wire.WireToolChoice(mode, name if mode == "tool" else "", serial)


def _tool(tool: Tool) -> wire.WireTool:
    deferred = True if tool.deferred else None
    if tool.web:
        return written_tool(tool, tool.web)
    if tool.kind:
        return wire.WireTool(tool.name, tool.kind, defer_loading=deferred)
    return wire.WireTool(tool.name, None, clean(tool.description) or None, Raw(tool.schema), deferred)


def _thinking_wish(request: Request) -> wire.WireThinkingWish | None:
    match request.thinking.mode:
        case "unset":
            return None
        case "enabled":
            return wire.WireThinkingWish("enabled", request.thinking.budget or _LEAST_BUDGET)
        case mode:
            return wire.WireThinkingWish(mode)


def _output(request: Request) -> wire.WireOutput | None:
    form = wire.WireFormat("json_schema", Raw(request.format)) if request.format else None
    effort = request.thinking.effort or None
    return wire.WireOutput(effort, form) if form or effort else None


def _turn(turn: Turn, quirks: Quirks) -> wire.RawTurn:
    """A system turn stays where it is, as the user's: moved or merged it would cost the engine its cached prefix."""
    role: Role = "assistant" if turn.role == "assistant" else "user"
    pieces = [_block(block, quirks) for block in turn.blocks]
    return wire.RawTurn(role, Raw(_json([piece for piece in pieces if piece is not None])))


def _block(block: Block, quirks: Quirks) -> object | None:
    """The block as a struct that encodes; None where it is left out."""
    match block:
        case Thinking(text, signature):
            # An API that signs refuses what it has not signed.
            kept = bool(signature or quirks.reasoning_field)
            return wire.WireThinking(clean(text), signature) if kept else None
        case ToolUse(id=call, name=name, input=text):
            return wire.WireToolUse(call, name, _object(text))
        case ToolResult(call, content, is_error):
            inside = Raw(_json([_part(part, quirks) for part in content]))
            return wire.RawToolResult(call, inside, True if is_error else None)
        case ServerToolUse() | WebResult():
            return _served(block)
        case _:
            return _part(block, quirks)


def _part(block: Text | Image | Document | ToolReference | Unknown, quirks: Quirks) -> object:
    match block:
        case Text(text):
            return Text(clean(text))
        case Image() if not quirks.images:
            return Text("[an image that this model cannot see]")
        case Image(media_type, data, url):
            source = wire.Source("url", url=url) if url else wire.Source("base64", media_type, data)
            return wire.WireImage(source)
        case Document():
            return wire.WireDocument(_document(block), block.title or None)
        case Unknown(json=json):
            return Raw(json.encode())
        case _:
            return block


def _document(block: Document) -> wire.Source:
    if block.url:
        return wire.Source("url", url=block.url)
    if block.data:
        return wire.Source("base64", block.media_type, block.data)
    return wire.Source("text", "text/plain", clean(block.text))


def _served(block: ServerToolUse | WebResult) -> wire.WireServerToolUse | WireResult:
    return written(block, _object(block.input) if isinstance(block, ServerToolUse) else Raw(b""))


def _object(text: str) -> Raw:
    """A call's input where only an object may stand."""
    return _input(text) if text.lstrip()[:1] in ("{", "") else unparsed(clean(text))


def _input(text: str) -> Raw:
    """A call's input: its JSON, {} where there is none, wrapped where it is broken."""
    data = clean(text).encode()
    try:
        return msgspec.json.decode(data, type=Raw) if data.strip() else Raw(b"{}")
    except (msgspec.DecodeError, RecursionError):
        return unparsed(clean(text))


# ---- Encoder ----

_DELTAS: dict[BlockKind, bytes] = {
    "text": b'"text_delta","text":',
    "thinking": b'"thinking_delta","thinking":',
    "tool_use": b'"input_json_delta","partial_json":',
}
_SIGNATURE = b'"signature_delta","signature":'
_TAIL = b"}}\n\n"
_BLANKS: dict[BlockKind, bytes] = {"text": _json(Text("")), "thinking": _json(wire.WireThinking(""))}
_MESSAGE_STOP = sse.record(b"message_stop", b'{"type":"message_stop"}')


class Encoder:
    """Writes a stream that the official clients read.

    Every delta is glued together from bytes made once a block: this is the gateway's innermost loop.
    """

    ping = b'event: ping\ndata: {"type": "ping"}\n\n'

    def __init__(self, model: str) -> None:
        self._model = model
        self._index = -1
        self._head = b""
        self._kind: BlockKind = "text"
        self._wrote = False
        self._signature = ""
        self._verbatim = False
        self._served: list[ServerToolUse | WebResult] = []
        self._done = False

    def encode(self, events: Iterable[Event]) -> bytes:
        """The bytes of these events."""
        if self._done:
            return b""
        out = []
        for event in events:
            if isinstance(event, TextDelta):
                out.append(self.more(event.text))
            elif isinstance(event, InputDelta):
                out.append(self.more(event.json))
            elif isinstance(event, ThinkingDelta):
                out.append(self.more(event.text))
            else:
                out.append(self._turn(event) if not self._verbatim else self._own(event))
                if isinstance(event, MessageStop | Failed):
                    self._done = True
                    break
        return b"".join(out)

    def more(self, text: str) -> bytes:
        """More of the block that is open, whichever it is."""
        if not text or self._verbatim:
            return b""
        self._wrote = True
        try:
            return self._head + _json(text) + _TAIL
        except UnicodeEncodeError:
            return self._head + _json(clean(text)) + _TAIL

    def _turn(self, event: Event) -> bytes:
        """An event that is no delta."""
        match event:
            case BlockStart():
                return self._begin(event)
            case BlockStop():
                return self._end()
            case SignatureDelta(signature):
                self._signature += signature  # clients keep the last one only: it is sent in one piece
                return b""
            case Served(block):
                self._index += 1
                self._served.append(block)
                return events_of(self._index, _served(block))
            case CitationDelta(citation):
                return citation_event(self._index, citation)
            case MessageStart():
                start = _answer(event.id, self._model or event.model, event.usage)
                return sse.record(
                    b"message_start", b'{"type":"message_start","message":' + _json(start) + b"}"
                )
            case MessageStop():
                ending = wire.Ending(event.stop_reason, _maybe_clean(event.stop_sequence))
                delta = _json(wire.MessageDelta(ending, _usage(event.usage, self._served)))
                return sse.record(b"message_delta", delta) + _MESSAGE_STOP
            case Failed(error):
                return sse.record(b"error", DIALECT.error(error, ""))
            case Verbatim(data):
                self._verbatim = True
                return data
            case _:
                return b""

    def _own(self, event: Event) -> bytes:
        """An event of an answer that is told in the engine's own bytes."""
        return self._turn(event) if isinstance(event, Verbatim | Failed) else b""

    def _begin(self, start: BlockStart) -> bytes:
        self._index += 1
        self._kind, self._wrote, self._signature = start.kind, False, ""
        self._head = self._delta(_DELTAS[start.kind])
        block = _BLANKS.get(start.kind) or _json(wire.WireToolUse(clean(start.id), clean(start.name)))
        data = b'{"type":"content_block_start","index":%d,"content_block":%b}' % (self._index, block)
        return sse.record(b"content_block_start", data)

    def _delta(self, kind: bytes) -> bytes:
        """What stands before a delta's text."""
        return (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":%b'
            % (self._index, kind)
        )

    def _end(self) -> bytes:
        last = b""
        if self._kind == "thinking":
            last = self._delta(_SIGNATURE) + _json(clean(self._signature)) + _TAIL
        elif self._kind == "tool_use" and not self._wrote:
            last = self._head + b'"{}"' + _TAIL
        return last + sse.record(
            b"content_block_stop", b'{"type":"content_block_stop","index":%d}' % self._index
        )


# ---- whole, error, refusal ----


def _usage(usage: Usage, blocks: Sequence[object] = ()) -> wire.WireUsage:
    cached, paid = usage.cached_tokens or 0, usage.written_tokens
    fresh = max(usage.input_tokens - cached - paid, 0)
    return wire.WireUsage(fresh, paid, cached, usage.output_tokens, usage_of(blocks))


def _answer(identity: str, model: str, usage: Usage) -> wire.Answer:
    """A message to which nothing has been added."""
    return wire.Answer(clean(identity), "message", "assistant", clean(model), [], None, None, _usage(usage))


def _said(part: AnswerPart) -> wire.Said:
    match part:
        case Cited():
            return wire_cited(part)
        case Text(text):
            return Text(clean(text))
        case Thinking(text, signature):
            return wire.WireThinking(clean(text), clean(signature))
        case ToolUse(id=call, name=name, input=text):
            return wire.WireToolUse(clean(call), clean(name), _input(text))
        case _:
            return _served(part)


def _maybe_clean(text: str | None) -> str | None:
    return None if text is None else clean(text)


class Anthropic:
    """The Messages API."""

    name = "anthropic"
    stream_type = "text/event-stream"

    def parse(self, body: bytes) -> Request:
        """A question. Raises BadRequest naming the field."""
        return read(body)

    def parse_count(self, body: bytes) -> Request:
        """A question to /v1/messages/count_tokens, which has no `max_tokens`. Raises BadRequest naming the field."""
        return read(body, limited=False)

    def render(self, request: Request, quirks: Quirks = PLAIN) -> bytes:
        """The body for a gateway that speaks this dialect. The real API gets `request.raw`, which is not this."""
        body = _json(_question(request, quirks))
        if request.options:
            body = body[:-1] + b"," + _json(request.options)[1:]
        return body

    def decoder(self, new_id: NewId) -> Decoder:
        """Reads one streamed answer."""
        return Decoder(new_id)

    def verbatim(self, new_id: NewId, *, stream: bool) -> StreamReader | WholeReader:
        """Reads an answer whose bytes pass untouched, streamed or not."""
        return StreamReader(new_id) if stream else WholeReader(new_id)

    def handed_over(
        self,
        request: Request,
        blocks: Mapping[tuple[int, int], Block | None],
        *,
        unthinking: bool = False,
        fold: bool = False,
    ) -> bytes:
        """The client's bytes, changed where the API would refuse them. See `VerbatimDialect`."""
        return changed(request.raw, Change(request.model, blocks, unthinking, fold))

    def encoder(self, request: Request, model: str) -> Encoder:  # noqa: ARG002 - other dialects ask the request
        """Writes one streamed answer; `model` is the name to show, "" for the engine's own."""
        return Encoder(model)

    def whole(self, message: Message, request: Request, model: str) -> bytes:  # noqa: ARG002
        """A non-streaming answer."""
        if message.raw:
            return message.raw
        answer = _answer(message.id, model or message.model, message.usage)
        answer.usage = _usage(message.usage, message.blocks)
        answer.content = [_said(block) for block in message.blocks]
        answer.stop_reason, answer.stop_sequence = message.stop_reason, _maybe_clean(message.stop_sequence)
        return _json(answer)

    def error(self, error: UnderstudyError, request_id: str) -> bytes:
        """An error's body; inside a stream, the data of its `error` event."""
        return _json(wire.ErrorBody(wire.ErrorDetail(error.kind, clean(error.message)), request_id))

    def refusal(self, status: int, body: bytes, retry_after: float | None = None) -> UnderstudyError:
        """What an engine's error answer means."""
        return refusal(status, body, retry_after)


DIALECT = Anthropic()
"""The dialect, as `dialects.dialect` finds it."""
