"""The server that passes every check: what right answers look like, in the smallest form. Pure: an `Ask` -> its `Reply`.

It has no model: it rings the bell when the words ask for it, and else talks about the weather. With it the kit says
beforehand how many questions and tokens a run needs; and the tests break it in every way that a check looks for, to see that
this check finds it.
"""

import json
from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from understudy.conform.answer import decoded
from understudy.conform.exchange import COUNT, Ask, Json, Reply
from understudy.conform.ideal_prompt import prompt
from understudy.conform.values import Object, at, number, obj, rows, text

MODEL: Final = "ideal"
ALIAS: Final = "claude-local-ideal"
BYTES_PER_TOKEN: Final = 4
CACHED: Final = 48
"""Prompts that are remembered."""
SPOKEN: Final = "Hello there. The sun is out, and a light wind comes from the west."
THOUGHT: Final = "7 times 13 is 91."
INPUTS: Final[dict[str, Json]] = {
    "ring_bell": {"colour": "red", "times": 2},
    "light_lamp": {"floor": 3},
    "list_rooms": {},
    "book_room": {"name": "12 a"},
}
ROLES: Final = ("user", "assistant", "system")
KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
}


class _Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Ideal:
    """See the module. It remembers prompts, as a cache does, and counts its answers.

    Args:
        window: in tokens.
        body_limit: in bytes.
    """

    def __init__(self, window: int = 65536, body_limit: int = 64 * 1024 * 1024) -> None:
        self._window = window
        self._body_limit = body_limit
        self._seen: deque[str] = deque(maxlen=CACHED)
        self._answers = 0

    def __call__(self, ask: Ask) -> Reply:
        """The reply."""
        self._answers += 1
        try:
            status, kind, body = self._reply(ask)
            more = {}
        except _Refusal as refusal:
            error = {"type": KINDS[refusal.status], "message": refusal.message}
            status, kind = refusal.status, "application/json"
            body = _json({"type": "error", "error": error, "request_id": f"req_{self._answers}"})
            more = {"x-should-retry": "false"}
        headers = {"content-type": kind, "request-id": f"req_{self._answers}", **more}
        return Reply(status, headers, body[: ask.leave_after or None], seconds=0.01)

    def _reply(self, ask: Ask) -> tuple[int, str, bytes]:
        headers = dict(ask.headers)
        if "origin" in headers:
            raise _Refusal(403, "pages of other origins are not answered")
        if ask.method == "HEAD":
            return 200, "text/plain", b""
        if ask.method == "GET":
            models = [
                {"id": name, "type": "model", "max_input_tokens": self._window} for name in (MODEL, ALIAS)
            ]
            return 200, "application/json", _json({"data": models, "has_more": False})
        if ask.credentials == "wrong":
            raise _Refusal(401, "this key is not known here")
        return self._posted(ask)

    def _posted(self, ask: Ask) -> tuple[int, str, bytes]:
        if len(ask.body) > self._body_limit:
            raise _Refusal(413, "the body is too large")
        body = _checked(decoded(ask.body), counting=ask.path == COUNT)
        words = prompt(body)
        tokens = -(-len(words) // BYTES_PER_TOKEN)
        if ask.path == COUNT:
            return 200, "application/json", _json({"input_tokens": tokens})
        if tokens >= self._window:
            raise _Refusal(400, f"prompt is too long: {tokens} tokens > {self._window} maximum")
        message = self._message(body, self._usage(words, tokens))
        if at(body, "stream") is True:
            return 200, "text/event-stream; charset=utf-8", b"".join(events(message))
        return 200, "application/json", _json(message)

    def _usage(self, words: str, tokens: int) -> Json:
        shared = max((_shared(words, old) for old in self._seen), default=0)
        self._seen.append(words)
        cached = min(shared // BYTES_PER_TOKEN, tokens)
        return {
            "input_tokens": tokens - cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "output_tokens": 0,
        }

    def _message(self, body: Object, usage: Json) -> Json:
        content = _content(body, f"{self._answers}")
        stop, sequence = _ended(body, content)
        output = 1 if stop == "max_tokens" else sum(len(_json(block)) for block in content) // BYTES_PER_TOKEN
        return {
            "id": f"msg_{self._answers}",
            "type": "message",
            "role": "assistant",
            "model": at(body, "model"),
            "content": content,
            "stop_reason": stop,
            "stop_sequence": sequence,
            "usage": {**usage, "output_tokens": output},
        }


def _shared(one: str, other: str) -> int:
    """Characters up to the first that differs, found by halving."""
    same, end = 0, min(len(one), len(other))
    while same < end:
        middle = (same + end + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            end = middle - 1
    return same


def _checked(body: object, *, counting: bool) -> Object:
    """The question, if it is one."""
    if not isinstance(body, dict):
        raise _Refusal(400, "body: not valid JSON")
    for name in ("model", "messages") if counting else ("model", "max_tokens", "messages"):
        if not at(body, name):
            raise _Refusal(400, f"{name}: Field required")
    for place, turn in enumerate(rows(at(body, "messages"))):
        if text(turn, "role") not in ROLES:
            raise _Refusal(400, f"messages.{place}.role: user, assistant or system")
    model = text(body, "model") or ""
    if model != MODEL and not model.startswith("claude-"):
        raise _Refusal(404, f"model {model!r} not found. Models here: {MODEL}")
    return obj(body)


# ---- what it says ----


def _content(body: Object, mark: str) -> list[Json]:
    thoughts: list[Json] = []
    if at(body, "thinking", "type") == "enabled":
        thoughts = [{"type": "thinking", "thinking": THOUGHT, "signature": ""}]
    if at(body, "output_config", "format") is not None:
        return [*thoughts, {"type": "text", "text": '{"title": "A plot"}'}]
    names = _wanted(body)
    calls: list[Json] = [
        {"type": "tool_use", "id": f"toolu_{mark}_{place}", "name": name, "input": INPUTS.get(name, {})}
        for place, name in enumerate(names)
    ]
    return [*thoughts, *(calls or [{"type": "text", "text": SPOKEN}])]


def _wanted(body: Object) -> list[str]:
    """The tools to be called."""
    words, choice = _last_words(body), text(body, "tool_choice", "type") or "auto"
    offered = [text(row, "name") or "" for row in rows(at(body, "tools"))]
    if choice == "tool":
        return [text(body, "tool_choice", "name") or ""]
    if choice == "none" or not offered or (choice == "auto" and "ring_bell" not in words):
        return []
    both = "same time" in words and at(body, "tool_choice", "disable_parallel_tool_use") is not True
    return offered[:1] * (2 if both else 1)


def _last_words(body: Object) -> str:
    turns = rows(at(body, "messages"))
    content = at(turns[-1], "content") if turns else None
    return content if isinstance(content, str) else " ".join(text(b, "text") or "" for b in rows(content))


def _ended(body: Object, content: list[Json]) -> tuple[str, str | None]:
    """How it ends; what comes too late is cut off."""
    last = content[-1]
    if last["type"] == "tool_use":
        return "tool_use", None
    words = str(last["text"])
    if number(body, "max_tokens") == 1:
        last["text"] = words[:BYTES_PER_TOKEN]
        return "max_tokens", None
    marks = [str(mark) for mark in rows(at(body, "stop_sequences"))]
    places = [(words.index(mark), mark) for mark in marks if mark in words]
    if not places:
        return "end_turn", None
    place, mark = min(places)
    last["text"] = words[:place]
    return "stop_sequence", mark


# ---- how it is written ----


def events(message: Json) -> Iterator[bytes]:
    """A message as a stream."""
    empty = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    yield record({"type": "message_start", "message": empty})
    yield record({"type": "ping"})
    for index, block in enumerate(rows(message["content"])):
        start, deltas = _opened(obj(block))
        yield record({"type": "content_block_start", "index": index, "content_block": start})
        for delta in deltas:
            yield record({"type": "content_block_delta", "index": index, "delta": delta})
        yield record({"type": "content_block_stop", "index": index})
    ending = {name: message[name] for name in ("stop_reason", "stop_sequence")}
    yield record({"type": "message_delta", "delta": ending, "usage": message["usage"]})
    yield record({"type": "message_stop"})


def _opened(block: Object) -> tuple[Json, list[Json]]:
    match block["type"]:
        case "text":
            return {**block, "text": ""}, _pieces("text_delta", "text", str(block["text"]))
        case "thinking":
            deltas = _pieces("thinking_delta", "thinking", str(block["thinking"]))
            return {**block, "thinking": ""}, [*deltas, {"type": "signature_delta", "signature": ""}]
        case _:
            written = _pieces("input_json_delta", "partial_json", json.dumps(block["input"]))
            return {**block, "input": {}}, written


def _pieces(kind: str, name: str, words: str) -> list[Json]:
    half = len(words) // 2 + 1
    return [{"type": kind, name: words[:half]}, {"type": kind, name: words[half:]}]


def record(event: Json) -> bytes:
    """One event of a stream."""
    return f"event: {event['type']}\ndata: {_json(event).decode()}\n\n".encode()


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
