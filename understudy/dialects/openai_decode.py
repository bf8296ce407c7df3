"""The answers of engines that speak OpenAI's Chat Completions -> events.

A stream ends with `[DONE]`. Some proxies leave that out, so a `finish_reason` followed by the end of the bytes is an end
too; and as usage comes after `finish_reason`, the answer is over only then. Neither is there -> the answer is cut,
however complete its text looks. An engine may also ignore `stream` and send one JSON object: it is read at the end.
"""

from enum import Enum

import msgspec
from msgspec import Raw, Struct

from understudy.dialects import NewId
from understudy.dialects.openai_frame import Frame
from understudy.dialects.openai_wire import (
    CallPart,
    Choice,
    Chunk,
    Delta,
    Fault,
    FaultRecord,
    given,
)
from understudy.dialects.refusal import refusal, said
from understudy.dialects.sse import RECORD_LIMIT, SseReader
from understudy.language.errors import EngineError, EngineLost, UnderstudyError
from understudy.language.events import (
    BlockKind,
    BlockStart,
    BlockStop,
    Event,
    Failed,
    InputDelta,
    Logprobs,
    MessageStart,
    MessageStop,
    Progress,
    StopReason,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.jsontext import BROKEN

REASONS: dict[str, StopReason] = {
    "stop": "end_turn",
    "eos": "end_turn",
    "eos_token": "end_turn",
    "end_turn": "end_turn",
    "stop_sequence": "end_turn",
    "tool_calls": "end_turn",  # becomes tool_use where there is a call: some engines say it without one
    "function_call": "end_turn",
    "tool_use": "end_turn",
    "length": "max_tokens",
    "max_tokens": "max_tokens",
    "model_length": "max_tokens",
    "content_filter": "refusal",
}
"""`finish_reason`; one that is not here counts as "stop"."""

GIVEN_UP = frozenset({"abort", "error", "cancelled"})
"""`finish_reason` of vLLM and SGLang for an answer they did not finish."""

FAULT_STATUS = {
    "invalid_request_error": 400,
    "BadRequestError": 400,
    "context_length_exceeded": 400,
    "exceed_context_size_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "overloaded_error": 503,
    "unavailable_error": 503,
    "timeout_error": 504,
}
"""The HTTP status that a word for an error inside a stream corresponds to; 500 for the others."""

_CHUNK = msgspec.json.Decoder(Chunk)
_FAULT = msgspec.json.Decoder(FaultRecord)
_STRING = msgspec.json.Decoder(str)


class _Block(Struct, eq=False):
    """A block; `pieces` is a call's text so far, or what waits to be said.

    `judged` is how many pieces were found incomplete, -1 once they are whole.
    """

    kind: BlockKind
    pieces: list[str]
    id: str = ""
    name: str = ""
    judged: int = 0

    def complete(self) -> bool:
        """Whether nothing can follow. Only a whole JSON object ends by itself, and only `}` can have ended it."""
        if self.kind != "tool_use":
            return True
        if self.judged < 0:
            return True
        if self.judged == len(self.pieces) or not self.pieces[-1].rstrip().endswith("}"):
            return False
        self.judged = len(self.pieces)
        try:
            msgspec.json.decode("".join(self.pieces))
        except BROKEN:
            return False
        self.judged = -1
        return True


class _Blocks:
    """Blocks one after the other, out of calls whose pieces may alternate.

    Our blocks never overlap, on the wire they may: OpenAI numbers the calls, and an engine may send a piece of call 1
    before the last one of call 0. Whatever begins while a call's JSON is open therefore waits until that is whole, or
    until the answer ends. Calls that come one after the other, as nearly always, are passed on as they come.
    """

    def __init__(self, new_id: NewId) -> None:
        self.called = False
        self.kind: BlockKind | None = None
        self._new_id = new_id
        self._open: _Block | None = None
        self.waiting: list[_Block] = []
        self._calls: dict[int, _Block] = {}
        self._ids: set[str] = set()

    def say(self, kind: BlockKind, text: str, out: list[Event]) -> None:
        """More text or thinking."""
        if self.kind == kind and not self.waiting:
            out.append(TextDelta(text) if kind == "text" else ThinkingDelta(text))
            return
        if self.waiting and self.waiting[-1].kind == kind:
            self.waiting[-1].pieces.append(text)
        else:
            self.waiting.append(_Block(kind, [text]))
        self._advance(out)

    def call(self, place: int, part: CallPart, out: list[Event]) -> None:
        """A piece of a call; `place` is its index where the engine gives none."""
        index = place if part.index is None else part.index
        name = (part.function.name if part.function else None) or ""
        block = self._calls.get(index)
        if block is None or _another(block, part.id or "", name):
            block = self._calls[index] = _Block("tool_use", [])
            self.waiting.append(block)
            self.called = True
        block.id, block.name = block.id or part.id or "", block.name or name
        text = arguments(part.function.arguments) if part.function else ""
        if text:
            block.pieces.append(text)
            if block is self._open:
                out.append(InputDelta(text))
        # A piece of a call that has ended is dropped: its JSON was whole, nothing that follows can belong to it.
        if self.waiting:
            self._advance(out)

    def finish(self, out: list[Event]) -> None:
        """The answer is over: everything is said and closed."""
        while self.waiting:
            self._next(out)
        self._shut(out)

    def _advance(self, out: list[Event]) -> None:
        while self.waiting and (self._open is None or self._open.complete()):
            block = self.waiting[0]
            if block.kind == "tool_use" and not block.name:
                return  # the name is in a later piece
            self._next(out)

    def _next(self, out: list[Event]) -> None:
        self._shut(out)
        block = self.waiting.pop(0)
        self._open, self.kind = block, block.kind
        if block.kind == "tool_use":
            out.append(BlockStart("tool_use", self._fresh(block.id), block.name))
            out.extend(InputDelta(piece) for piece in block.pieces)
            return
        out.append(BlockStart(block.kind))
        out.extend(TextDelta(p) if block.kind == "text" else ThinkingDelta(p) for p in block.pieces)

    def _fresh(self, given_id: str) -> str:
        """The engine's id; a new one where there is none, or where another call of this answer has it."""
        call = given_id if given_id and given_id not in self._ids else self._new_id("call_")
        self._ids.add(call)
        return call

    def _shut(self, out: list[Event]) -> None:
        if self._open is not None:
            out.append(BlockStop())
        self._open, self.kind = None, None


def _another(block: _Block, call: str, name: str) -> bool:
    """Whether a piece at the same index begins another call: some engines number all of them 0.

    Only a piece with a name can begin one (older vLLM puts a fresh id on every piece). Where ids do not tell, a repeated
    name does, once the JSON before it is whole.
    """
    if not name:
        return False
    if call and block.id:
        return call != block.id
    return bool(block.name) and (name != block.name or block.complete())


def arguments(raw: Raw) -> str:
    """A call's arguments as JSON text, whether they came as a string or as the object itself."""
    if not given(raw):
        return ""
    text = bytes(raw)
    return _STRING.decode(text) if text.startswith(b'"') else text.decode("utf-8", "replace")


def fault(record: bytes) -> UnderstudyError:
    """What an error inside a stream means: by its code, else by its type, else it is the engine's own."""
    try:
        found = _FAULT.decode(record)
    except BROKEN:
        found = FaultRecord()
    inner = found.error if isinstance(found.error, Fault) else Fault(found.code, found.type)
    status = inner.code if isinstance(inner.code, int) else FAULT_STATUS.get(inner.code or "", 0)
    if not 400 <= status < 600:  # noqa: PLR2004 - the range of HTTP's errors
        status = FAULT_STATUS.get(inner.type or "", 500)
    return refusal(status, record)


class _Phase(Enum):
    NEW = "nothing has come but white space"
    STREAM = "server-sent events"
    WHOLE = "one JSON object"
    OVER = "over"


_STREAM = _Phase.STREAM  # a member of an Enum is looked up through its class each time


class Decoder:
    """See `dialects.Decoder`."""

    def __init__(self, new_id: NewId) -> None:
        self._phase = _Phase.NEW
        self._sse = SseReader()
        self._frame = Frame()
        self._body: list[bytes] = []
        self._size = 0
        self._new_id = new_id
        self._started = False
        self._blocks = _Blocks(new_id)
        self._reason: str | None = None
        self._stopped_at: str | None = None
        self._usage = Usage()

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        if self._phase is _Phase.STREAM:
            return self._stream(data)
        if self._phase is _Phase.OVER:
            return []
        if self._phase is _Phase.NEW:
            data = data.lstrip()
            if not data:
                return []
            if not data.startswith(b"{"):
                self._phase = _Phase.STREAM
                return self._stream(data)
            self._phase = _Phase.WHOLE
        return self._keep(data)

    def text(self, data: bytes) -> str:
        """See `dialects.Decoder`."""
        if (
            self._phase is _STREAM
            and self._blocks.kind == "text"
            and self._sse.idle
            and not self._blocks.waiting
        ):
            return self._frame.event_text(data)
        return ""

    def close(self) -> list[Event]:
        """The bytes are over."""
        out: list[Event] = []
        if self._phase is _Phase.NEW:
            self._fail(EngineLost("the engine sent an empty answer; its log may say why"), out)
        elif self._phase is _Phase.WHOLE:
            self._whole(out)
        elif self._phase is _Phase.STREAM:
            self._end(out)
        return out

    def _stream(self, data: bytes) -> list[Event]:
        out: list[Event] = []
        try:
            records = self._sse.feed(data)
        except EngineError as error:
            self._fail(error, out)
            return out
        for record in records:
            if self._started and (text := self._frame.text(record)):
                self._blocks.say("text", text, out)
                continue
            self._record(record, out)
            if self._phase is _Phase.OVER:
                break
        return out

    def _record(self, record: bytes, out: list[Event]) -> None:
        try:
            chunk = _CHUNK.decode(record)
            self._take(chunk, record, out)
            self._frame.learn(record, chunk)
        except BROKEN as error:
            if record.strip() == b"[DONE]":
                self._end(out)
            elif record.strip():
                self._fail(EngineError(f"the engine sent a record that cannot be read: {error}"), out)

    def _keep(self, data: bytes) -> list[Event]:
        self._body.append(data)
        self._size += len(data)
        out: list[Event] = []
        if self._size > RECORD_LIMIT:
            self._fail(EngineError(f"the engine sent an answer of over {RECORD_LIMIT} bytes"), out)
        return out

    def _whole(self, out: list[Event]) -> None:
        body = b"".join(self._body)
        try:
            self._take(_CHUNK.decode(body), body, out)
        except msgspec.ValidationError as error:
            self._fail(EngineError(f"the engine sent an answer that cannot be read: {error}"), out)
        except BROKEN:
            self._fail(EngineLost("the engine's answer ended in the middle of its JSON"), out)
        if self._phase is _Phase.OVER:
            return
        if not self._started:
            self._fail(EngineError(f"the engine's answer is no chat completion: {said(body)}"), out)
            return
        self._end(out)

    def _take(self, chunk: Chunk, record: bytes, out: list[Event]) -> None:
        if given(chunk.error) or chunk.object == "error":
            self._fail(fault(record), out)
            return
        if chunk.usage is not None or chunk.timings is not None:
            self._usage = _usage(chunk, self._usage)
        progress = chunk.prompt_progress
        if progress is not None:
            self._usage = Usage(progress.total, progress.cache, self._usage.output_tokens)
            out.append(Progress(progress.processed, progress.total, progress.cache))
        for choice in chunk.choices or ():
            if choice.index == 0:
                # llama.cpp puts an empty first delta beside each report of progress: nothing has begun by that.
                if not self._started and (progress is None or _speaks(choice)):
                    self._started = True
                    out.append(MessageStart(self._new_id("msg_"), chunk.model or "", self._usage))
                self._choose(choice, out)

    def _choose(self, choice: Choice, out: list[Event]) -> None:
        delta = choice.delta or choice.message
        if delta is not None:
            self._say(delta, out)
        elif choice.text:
            self._blocks.say("text", choice.text, out)
        if choice.logprobs is not None and given(choice.logprobs.content) and self._blocks.kind == "text":
            out.append(Logprobs(bytes(choice.logprobs.content).decode("utf-8", "replace")))
        if choice.finish_reason is not None:
            self._reason = choice.finish_reason
            mark = choice.stop_reason if choice.stop_reason is not None else choice.matched_stop
            self._stopped_at = (
                mark if isinstance(mark, str) else None
            )  # a number is a token: the ordinary end

    def _say(self, delta: Delta, out: list[Event]) -> None:
        # vLLM once sent the same reasoning under two names: only the first that is there counts.
        thought = delta.reasoning_content or delta.reasoning or delta.reasoning_text
        if thought:
            self._blocks.say("thinking", thought, out)
        text = delta.content or delta.refusal
        if text:
            self._blocks.say("text", text, out)
        if delta.tool_calls:
            for place, part in enumerate(delta.tool_calls):
                self._blocks.call(place, part, out)
        if delta.function_call is not None:
            self._blocks.call(0, CallPart(function=delta.function_call), out)

    def _end(self, out: list[Event]) -> None:
        if self._reason is None:
            self._fail(EngineLost("the engine's answer ended before it was complete"), out)
            return
        if self._reason in GIVEN_UP:
            self._fail(EngineLost(f"the engine gave its answer up (finish_reason {self._reason})"), out)
            return
        self._blocks.finish(out)
        reason = REASONS.get(self._reason, "end_turn")
        sequence = self._stopped_at if reason == "end_turn" else None
        if reason == "end_turn":
            reason = "tool_use" if self._blocks.called else "stop_sequence" if sequence else reason
        out.append(MessageStop(reason, sequence if reason == "stop_sequence" else None, self._usage))
        self._phase = _Phase.OVER

    def _fail(self, error: UnderstudyError, out: list[Event]) -> None:
        out.append(Failed(error))
        self._phase = _Phase.OVER


def _speaks(choice: Choice) -> bool:
    delta = choice.delta or choice.message or Delta()
    return choice.finish_reason is not None or delta != Delta() or bool(choice.text)


def _usage(chunk: Chunk, before: Usage) -> Usage:
    """`usage` where there is one; llama.cpp's `timings` for what that leaves out."""
    cached, prompt, output = before.cached_tokens, before.input_tokens, before.output_tokens
    if (timings := chunk.timings) is not None:
        cached = timings.cache_n if timings.cache_n is not None else cached
        prompt = (timings.cache_n or 0) + (timings.prompt_n or 0)
        output = timings.predicted_n or output
    if (usage := chunk.usage) is not None:
        details = usage.prompt_tokens_details
        told = details.cached_tokens if details is not None else usage.prompt_cache_hit_tokens
        cached = told if told is not None else cached
        prompt = prompt if usage.prompt_tokens is None else usage.prompt_tokens
        output = output if usage.completion_tokens is None else usage.completion_tokens
    return Usage(prompt, cached, output)
