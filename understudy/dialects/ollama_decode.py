"""The answers of Ollama engines -> events: /api/chat and /api/generate, streamed or whole, and what a refusal means.

- A tool call comes whole, in one line.
- `prompt_eval_count` counts the whole prompt, the cached part included. Older versions leave it out when all was cached.
- Log probabilities stand beside the text they belong to; those of reasoning and of calls have no place with us.
"""

import msgspec
from msgspec import Raw, Struct

from understudy.dialects import NewId
from understudy.dialects import refusal as refusals
from understudy.dialects.ollama_wire import ABSENT, ChatMessage, Line, text_from
from understudy.dialects.sse import LineReader
from understudy.language.errors import (
    EngineBlind,
    EngineError,
    EngineLost,
    EngineRefused,
    NoTarget,
    UnderstudyError,
)
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
    State,
    StopReason,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.jsontext import BROKEN


class _Token(Struct):
    """What this wire tells of a token, completed to the form the events carry."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class _Odds(_Token):
    top_logprobs: list[_Token] | None = None


_odds = msgspec.json.Decoder(list[_Odds] | None).decode
_encode = msgspec.json.Encoder().encode

_line = msgspec.json.Decoder(Line).decode
_NO_MESSAGE = ChatMessage()


_NONSENSE = (
    "the engine sent a line that is not Ollama's JSON: check that the engine's kind is right for its url"
)
_LOST = "Ollama's answer broke off before its last line: ask again, and look into Ollama's log if it happens again"
_LOADED = "Ollama loaded or unloaded the model instead of answering: it saw no message in the request"
_NO_ANSWER = frozenset({"load", "unload"})
_UNSAID = 500
"""The status of an error inside a stream, where the line does not tell one."""


class Decoder:
    """Reads an answer, streamed or whole (which is one line). See `dialects.Decoder`."""

    def __init__(self, new_id: NewId) -> None:
        self._lines = LineReader()
        self._new_id = new_id
        self._state = State.IDLE
        self._finish: StopReason = "end_turn"

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        if self._state is State.DONE:
            return []
        out: list[Event] = []
        try:
            for line in self._lines.feed(data):
                out += self._read(line)
        except BROKEN:
            out += self._fail(EngineError(_NONSENSE))
        except EngineError as error:
            out += self._fail(error)
        return out

    def text(self, data: bytes) -> str:
        """See `dialects.Decoder`. The time stands in every line, so that no two lines are framed alike."""
        del data
        return ""

    def close(self) -> list[Event]:
        """The bytes are over: a last line without its line end still counts if it is whole."""
        out: list[Event] = []
        for line in self._lines.close():
            try:
                out += self._read(line)
            except BROKEN:
                break  # the line is cut, and so is the answer
        return out + self._fail(EngineLost(_LOST))

    def _read(self, data: bytes) -> list[Event]:
        line = _line(data)
        message = line.message or _generated(line)
        if self._state is State.TEXT and _only_text(line, message):
            return [TextDelta(message.content or "")]
        if self._state is State.DONE:
            return []
        if line.error is not None:
            return self._fail(refusal(line.status or _UNSAID, data))
        if line.done_reason in _NO_ANSWER and self._state is State.IDLE:
            return self._fail(EngineError(_LOADED))
        return [*self._begin(line), *self._pieces(message), *self._likely(line, message), *self._end(line)]

    def _begin(self, line: Line) -> list[Event]:
        if self._state is not State.IDLE:
            return []
        self._state = State.OPEN
        return [MessageStart(self._new_id("msg_"), line.model or "")]

    def _pieces(self, message: ChatMessage) -> list[Event]:
        out: list[Event] = []
        if message.thinking:
            out += [*self._open("thinking", State.THINKING), ThinkingDelta(message.thinking)]
        if message.content:
            out += [*self._open("text", State.TEXT), TextDelta(message.content)]
        for call in message.tool_calls or ():
            self._finish = "tool_use"
            start = BlockStart("tool_use", call.id or self._new_id("call_"), call.function.name)
            out += [*self._shut(), start, InputDelta(text_from(call.function.arguments)), BlockStop()]
        return out

    def _likely(self, line: Line, message: ChatMessage) -> list[Event]:
        if line.logprobs is ABSENT or self._state is not State.TEXT or not message.content:
            return []
        odds = _completed(line.logprobs)
        return [Logprobs(odds)] if odds else []

    def _open(self, kind: BlockKind, state: State) -> list[Event]:
        if self._state is state:
            return []
        shut = self._shut()
        self._state = state
        return [*shut, BlockStart(kind)]

    def _shut(self) -> list[Event]:
        if self._state is State.OPEN:
            return []
        self._state = State.OPEN
        return [BlockStop()]

    def _end(self, line: Line) -> list[Event]:
        if not line.done:
            return []
        shut, self._state = self._shut(), State.DONE
        reason: StopReason = "max_tokens" if line.done_reason == "length" else self._finish
        return [*shut, MessageStop(reason, usage=_usage(line))]

    def _fail(self, error: UnderstudyError) -> list[Event]:
        if self._state is State.DONE:
            return []
        self._state = State.DONE
        return [Failed(error)]


def _only_text(line: Line, message: ChatMessage) -> bool:
    """Nearly every line of nearly every answer."""
    more = line.done or line.error or message.thinking or message.tool_calls or line.logprobs is not ABSENT
    return bool(message.content) and not more


def _generated(line: Line) -> ChatMessage:
    """What a line of /api/generate says, as a message would."""
    if line.response or line.thinking:
        return ChatMessage(content=line.response, thinking=line.thinking)
    return _NO_MESSAGE


def _completed(raw: Raw) -> str:
    """Log probabilities in the form of the events; "" where there are none."""
    found = _odds(raw)
    for odds in found or ():
        odds.top_logprobs = odds.top_logprobs or []
        for token in (odds, *odds.top_logprobs):
            if token.bytes is None:
                token.bytes = [*token.token.encode(errors="replace")]
    return _encode(found).decode() if found else ""


def _usage(line: Line) -> Usage:
    return Usage(line.prompt_eval_count or 0, line.prompt_eval_cached_count, line.eval_count or 0)


_HINTS = {
    "does not support tools": "choose a model that `ollama show` gives the capability tools, or take its tools away",
    "does not support thinking": "choose a model that `ollama show` gives the capability thinking, or switch thinking off",
    "does not support": "`ollama show` lists what the model is capable of",
}
"""What to do about Ollama's refusals of a capability (`server/routes.go`), by their words."""


def refusal(status: int, body: bytes, retry_after: float | None = None) -> UnderstudyError:
    """What an error answer of Ollama, or an error line inside an answer, means."""
    found, words = refusals.refusal(status, body, retry_after), refusals.said(body)
    if isinstance(found, NoTarget):
        return NoTarget(f"{found.message}: `ollama pull` it, or name one of `ollama list`")
    if isinstance(found, EngineRefused) and not isinstance(found, EngineBlind):
        hint = next((hint for phrase, hint in _HINTS.items() if phrase in words), "")
        return EngineRefused(f"{words}: {hint}") if hint else found
    return found
