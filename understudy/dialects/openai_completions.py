"""OpenAI's Completions (https://platform.openai.com/docs/api-reference/completions), toward clients: text to go on with.

Editors ask it for what might be typed next: no conversation, no tools, no template around the prompt. `suffix` is what
stands after the gap, for models that fill in the middle. One prompt at a time, as text: lists of prompts and numbers of
tokens are refused.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Raw, Struct

from understudy.dialects.openai_ends import FINISH, added, error_body, tokens
from understudy.dialects.openai_parse import number_of, refuse, stops, wrong
from understudy.dialects.openai_wire import ABSENT, StreamOptions, given
from understudy.language.errors import UnderstudyError
from understudy.language.events import Event, Failed, MessageStart, MessageStop, StopReason, TextDelta, Usage
from understudy.language.jsontext import BROKEN
from understudy.language.message import Message
from understudy.language.request import Prompt, Request, Sampling, Text

MAX_TOKENS = 16
"""Where the client set no limit, by the API's own default."""
FINISHED: dict[StopReason, str] = {**FINISH, "tool_use": "stop"}
"""There are no tools here, whatever the model thinks."""
_UNCARRIED = ("logprobs", "logit_bias", "best_of")

_json: Callable[[object], bytes] = msgspec.json.Encoder().encode
_PROMPTS = msgspec.json.Decoder(str | list[str])


class Ask(Struct):
    """The body of a request."""

    model: str
    prompt: Raw = ABSENT
    suffix: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repeat_penalty: float | None = None
    repetition_penalty: float | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    echo: bool | None = None
    user: str | None = None
    task_type: str | None = None
    logprobs: Raw = ABSENT
    logit_bias: Raw = ABSENT
    best_of: Raw = ABSENT


class Wishes(Struct):
    """What a client wants of the form of its answer."""

    echo: bool | None = None
    stream_options: StreamOptions | None = None


_ASK = msgspec.json.Decoder(Ask)
_WISHES = msgspec.json.Decoder(Wishes)


def parse(body: bytes) -> Request:
    """The question.

    Raises:
        BadRequest: it cannot be read; the message names the field.
    """
    try:
        ask = _ASK.decode(body)
    except BROKEN as error:
        refuse("", error)
    sampling = Sampling(
        MAX_TOKENS if ask.max_tokens is None else ask.max_tokens,
        ask.temperature,
        ask.top_p,
        ask.top_k,
        ask.seed,
        ask.frequency_penalty,
        ask.presence_penalty,
        stops(ask.stop),
        repeat_penalty=ask.repetition_penalty if ask.repeat_penalty is None else ask.repeat_penalty,
    )
    return Request(
        ask.model,
        (),
        sampling=sampling,
        stream=bool(ask.stream),
        user=ask.user or "",
        task=ask.task_type or "",
        prompt=Prompt(_prompt(ask.prompt), ask.suffix or ""),
        n=number_of(ask.n),
        dropped=tuple(name for name in _UNCARRIED if given(getattr(ask, name))),
        raw=body,
    )


def _prompt(raw: Raw) -> str:
    if not given(raw):
        raise wrong("prompt", "missing; it is the text to go on with")
    try:
        prompts: str | list[str] = _PROMPTS.decode(raw)
    except BROKEN as error:
        raise wrong("prompt", "must be text; numbers of tokens mean nothing to other models") from error
    if isinstance(prompts, str):
        return prompts
    if len(prompts) != 1:
        raise wrong("prompt", f"{len(prompts)} prompts; ask for one at a time")
    return prompts[0]


class Encoder:
    """Writes a stream of `text_completion` records. See `dialects.Encoder`.

    Args:
        request: the client's question.
        model: the name to show.
    """

    ping = b": ping\n\n"

    def __init__(self, request: Request, model: str) -> None:
        self._request = request
        self._wishes = _WISHES.decode(request.raw)
        self._model = model
        self._left = request.n - 1
        self._index = 0
        self._usage = Usage()
        self._head = b""

    def encode(self, events: Iterable[Event]) -> bytes:
        """The records of these events; what is no text has no form here."""
        return b"".join([self._one(event) for event in events])

    def more(self, text: str) -> bytes:
        """More text."""
        return self._record(text, b"null")

    def another(self) -> None:
        """The next answer to the same question begins."""
        self._left -= 1
        self._index += 1

    def _one(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return self.more(text)
            case MessageStart(key):
                self._head = self._head or self._opening(key)
                return self.more(_echoed(self._request, self._wishes)) if self._wishes.echo else b""
            case MessageStop(reason, usage=usage):
                return self._last(reason, usage)
            case Failed(error):
                return b"data: %b\n\n" % error_body(error)
            case _:
                return b""

    def _opening(self, key: str) -> bytes:
        opening = b'data: {"id":%b,"object":"text_completion","created":%d,"model":%b,"choices":['
        return opening % (_json(_id(key)), int(self._request.asked_at), _json(self._model))

    def _record(self, text: str, finish: bytes) -> bytes:
        row = (self._head, _json(text), self._index, finish)
        return b'%b{"text":%b,"index":%d,"logprobs":null,"finish_reason":%b}]}\n\n' % row

    def _last(self, reason: StopReason, usage: Usage) -> bytes:
        out = self._record("", _json(FINISHED[reason]))
        self._usage = added(self._usage, usage)
        if self._left:
            return out
        options = self._wishes.stream_options
        if options is not None and options.include_usage:
            out += b'%b],"usage":%b}\n\n' % (self._head, _json(tokens(self._usage)))
        return out + b"data: [DONE]\n\n"


def _echoed(request: Request, wishes: Wishes) -> str:
    return request.prompt.text if wishes.echo and request.prompt else ""


def _id(key: str) -> str:
    return "cmpl-" + key.removeprefix("msg_").removeprefix("cmpl-")


class Completions:
    """See `dialects.ClientDialect`."""

    name = "openai_completions"
    stream_type = "text/event-stream"

    def parse(self, body: bytes) -> Request:
        """What a client asks."""
        return parse(body)

    def encoder(self, request: Request, model: str) -> Encoder:
        """Writes an answer's stream."""
        return Encoder(request, model)

    def whole(self, message: Message, request: Request, model: str) -> bytes:
        """A non-streaming answer."""
        return self.several((message,), request, model)

    def several(self, messages: Sequence[Message], request: Request, model: str) -> bytes:
        """A non-streaming answer with several choices."""
        usage, echoed = Usage(), _echoed(request, _WISHES.decode(request.raw))
        for message in messages:
            usage = added(usage, message.usage)
        choices = [
            {
                "text": echoed + "".join(block.text for block in message.blocks if isinstance(block, Text)),
                "index": index,
                "logprobs": None,
                "finish_reason": FINISHED[message.stop_reason],
            }
            for index, message in enumerate(messages)
        ]
        return _json(
            {
                "id": _id(messages[0].id),
                "object": "text_completion",
                "created": int(request.asked_at),
                "model": model,
                "choices": choices,
                "usage": tokens(usage),
            }
        )

    def error(self, error: UnderstudyError, request_id: str) -> bytes:
        """An error's body."""
        return error_body(error, request_id)


DIALECT = Completions()
