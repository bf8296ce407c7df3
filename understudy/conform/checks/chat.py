"""Checks of OpenAI's Chat Completions: what its SDKs, and the many clients that speak this dialect, rely on.

https://platform.openai.com/docs/api-reference/chat. None of them stands for a row of docs/claude-code.md.
"""

import json
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from understudy.conform.answer import decoded, error_of, told
from understudy.conform.asks import BELL, LAMP, ROOM, SHORT
from understudy.conform.exchange import Ask, Check, Fault, Json, Level, Plan, Reply, Scene, Undecided, put
from understudy.conform.judging import body_of, posted, short, unfit
from understudy.conform.stream import records
from understudy.conform.values import Object, at, number, obj, rows, text

PATH: Final = "/v1/chat/completions"
DONE: Final = "[DONE]"
ENDS: Final = ("stop", "length", "tool_calls", "content_filter", "function_call")
TITLE: Final = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}


def function(tool: Json) -> Json:
    """One of the kit's tools in this dialect."""
    given = {"name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"]}
    return {"type": "function", "function": given}


TOOLS: Final = (function(BELL), function(LAMP))


def asked(scene: Scene, *turns: Json | str, **fields: object) -> Ask:
    """A question: these messages, or this prompt."""
    messages = [{"role": "user", "content": turn} if isinstance(turn, str) else turn for turn in turns]
    start: Json = {"role": "system", "content": f"This is run {scene.salt}. Be brief."}
    body = {"model": scene.model, "messages": [start, *messages], "max_tokens": SHORT, **fields}
    return posted(PATH, body)


def lamp(scene: Scene, **fields: object) -> Ask:
    """A question that must be answered with a call of light_lamp."""
    choice = {"type": "function", "function": {"name": "light_lamp"}}
    words = "Use the tool light_lamp now: the lamp of floor 3."
    return asked(scene, words, tools=TOOLS, tool_choice=choice, max_tokens=ROOM, **fields)


# ---- streams ----


class Chunks(Struct):
    """A stream as its chunks say it; `done` is whether [DONE] came last."""

    all: list[Object]
    done: bool

    @property
    def deltas(self) -> list[Object]:
        """What is said, piece by piece."""
        return [obj(at(chunk, "choices", 0, "delta")) for chunk in self.all]

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(text(delta, "content") or "" for delta in self.deltas)

    @property
    def ends(self) -> list[str]:
        """Every finish_reason."""
        found = (text(chunk, "choices", 0, "finish_reason") for chunk in self.all)
        return [reason for reason in found if reason]


def chunks(reply: Reply) -> Chunks:
    """The chunks of a stream.

    Raises:
        Fault: it is none, or a record of it is no JSON.
    """
    if reply.trouble or reply.status != 200:  # noqa: PLR2004
        raise Fault(told(reply), "status 200 and a stream")
    if not reply.headers.get("content-type", "").startswith("text/event-stream"):
        raise Fault(f"content-type: {reply.headers.get('content-type')}", "content-type: text/event-stream")
    out: list[Object] = []
    done = False
    for _, data in records(reply.body):
        if done:
            raise Fault(f"a record after {DONE}: {short(data)}", f"nothing after {DONE}")
        done = data == DONE
        found = decoded(data.encode())
        if not done and not isinstance(found, dict):
            raise Fault(f"a record that is no JSON object: {short(data)}", "a chunk, or [DONE]")
        if not done:
            out.append(obj(found))
    return Chunks(out, done)


def _streamed(scene: Scene) -> Plan:
    found = chunks((yield from put(asked(scene, "Say hello.", stream=True))))
    if not found.done:
        raise Fault(f"a stream that ends without {DONE}", f"data: {DONE} as the last record")
    ids = {text(chunk, "id") for chunk in found.all}
    kinds = {text(chunk, "object") for chunk in found.all}
    if len(ids) != 1 or not next(iter(ids)):
        raise Fault(f"chunks with the ids {', '.join(map(str, ids))}", "one id in all chunks")
    if kinds != {"chat.completion.chunk"}:
        raise Fault(f"chunks of object {', '.join(map(str, kinds))}", "object 'chat.completion.chunk'")
    if len(found.ends) != 1 or found.ends[0] not in ENDS:
        raise Fault(f"the finish reasons {found.ends}", f"one of {', '.join(ENDS)}, once")
    return ""


def _usage(scene: Scene) -> Plan:
    ask = asked(scene, "Say hello.", stream=True, stream_options={"include_usage": True})
    found = chunks((yield from put(ask)))
    last = found.all[-1] if found.all else {}
    if rows(at(last, "choices")) or not number(last, "usage", "total_tokens"):
        raise Fault(
            f"the last chunk is {short(msgspec.json.encode(last).decode())}", "usage, and an empty choices"
        )
    return f"{number(last, 'usage', 'total_tokens')} tokens"


# ---- whole answers ----


def _whole(scene: Scene) -> Plan:
    body = body_of((yield from put(asked(scene, "Say hello."))))
    choice = at(body, "choices", 0)
    for name, good in (
        ("id", bool(text(body, "id"))),
        ("object", text(body, "object") == "chat.completion"),
        ("created", number(body, "created") is not None),
        ("model", bool(text(body, "model"))),
        ("choices", text(choice, "message", "role") == "assistant"),
        ("usage", bool(number(body, "usage", "prompt_tokens") and number(body, "usage", "total_tokens"))),
    ):
        if not good:
            raise Fault(f"{name}: {short(str(at(body, name)))}", f"a completion with its {name}")
    if text(choice, "finish_reason") not in ENDS:
        raise Fault(f"finish_reason {at(choice, 'finish_reason')!r}", f"one of {', '.join(ENDS)}")
    return ""


def _cut(scene: Scene) -> Plan:
    for stream in (False, True):
        reply = yield from put(asked(scene, "Write a long story about a river.", max_tokens=1, stream=stream))
        ends = chunks(reply).ends if stream else [_reason(body_of(reply))]
        if ends != ["length"]:
            raise Fault(f"finish_reason {', '.join(ends)} with max_tokens 1", "finish_reason 'length'")
    return ""


def _reason(body: Object) -> str:
    return text(body, "choices", 0, "finish_reason") or "none"


def _stopped(scene: Scene) -> Plan:
    body = body_of((yield from put(asked(scene, "Say hello in one sentence.", stop=["e", "a", "o", "i"]))))
    said = text(body, "choices", 0, "message", "content") or ""
    if any(mark in said for mark in "eaoi"):
        raise Fault(f"the text {short(said)!r}", "the text up to the first of e, a, o, i")
    return ""


def _schema(scene: Scene) -> Plan:
    wish = {"type": "json_schema", "json_schema": {"name": "title", "strict": True, "schema": TITLE}}
    words = "<session>What does plot.py draw?</session>"
    body = body_of((yield from put(asked(scene, words, response_format=wish, max_tokens=ROOM))))
    said = text(body, "choices", 0, "message", "content") or ""
    return fitting(said, ended_early=text(body, "choices", 0, "finish_reason") == "length")


def fitting(said: str, *, ended_early: bool) -> str:
    """Nothing, where the text is JSON that fits `TITLE`.

    Raises:
        Verdict: it is not, or was cut.
    """
    if ended_early:
        raise Undecided(f"its limit ended the answer: {short(said)!r}")
    found = decoded(said.encode())
    if found is None or unfit(found, TITLE):
        raise Fault(f"the text {short(said)!r}", "JSON that fits the schema, and nothing around it")
    return ""


# ---- tools ----


def fits(name: str, arguments: str, *, cut: bool) -> None:
    """Nothing, where a call of light_lamp is right.

    Args:
        name: of the tool that was called.
        arguments: as they were written.
        cut: whether the answer's limit ended it.

    Raises:
        Verdict: it is not.
    """
    if name != "light_lamp":
        raise Fault(f"a call of {name!r}", "a call of light_lamp, which tool_choice names")
    found = decoded(arguments.encode())
    if not isinstance(found, dict) and cut:
        raise Undecided(f"its limit ended the call: {short(arguments)}")
    if not isinstance(found, dict):
        raise Fault(
            f"arguments that are no object: {short(arguments) or 'nothing'}", "a JSON object, as text"
        )
    if wrong := unfit(found, LAMP["input_schema"]):
        raise Fault(f"light_lamp called with {short(arguments)}: {wrong}", "arguments that its schema admits")


def _called(scene: Scene) -> Plan:
    body = body_of((yield from put(lamp(scene))))
    calls = rows(at(body, "choices", 0, "message", "tool_calls"))
    reason = text(body, "choices", 0, "finish_reason")
    if not calls:
        raise Fault(f"no call: finish_reason {reason}", "tool_calls")
    if not text(calls[0], "id"):
        raise Fault("a call without an id", "an id, which the result names")
    fits(
        text(calls[0], "function", "name") or "",
        text(calls[0], "function", "arguments") or "",
        cut=reason == "length",
    )
    if reason not in ("tool_calls", "stop", "length"):
        raise Fault(f"finish_reason {reason!r} after a call", "finish_reason 'tool_calls'")
    return ""


def _call_streamed(scene: Scene) -> Plan:
    found = chunks((yield from put(lamp(scene, stream=True))))
    pieces = [obj(row) for delta in found.deltas for row in rows(at(delta, "tool_calls"))]
    if not pieces:
        raise Fault(f"no call: finish reasons {found.ends}", "deltas of tool_calls")
    if number(pieces[0], "index") != 0 or not text(pieces[0], "id"):
        raise Fault(
            f"a call that begins with {short(msgspec.json.encode(pieces[0]).decode())}",
            "index 0, id and name first",
        )
    first = [piece for piece in pieces if number(piece, "index") == 0]
    written = "".join(text(piece, "function", "arguments") or "" for piece in first)
    fits(text(pieces[0], "function", "name") or "", written, cut=found.ends == ["length"])
    return ""


def _result(scene: Scene) -> Ask:
    arguments = json.dumps({"floor": 3})
    call = {"id": "call_1", "type": "function", "function": {"name": "light_lamp", "arguments": arguments}}
    turns: tuple[Json, ...] = (
        {"role": "user", "content": "Light floor 3."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "it is lit"},
    )
    return asked(scene, *turns, tools=TOOLS)


# ---- what is taken, and what is refused ----


def taken(*asks: Callable[[Scene], Ask]) -> Callable[[Scene], Plan]:
    """The plan of a check that is passed when each of these is answered."""

    def plan(scene: Scene) -> Plan:
        for make in asks:
            body_of((yield from put(make(scene))))
        return ""

    return plan


def shaped(reply: Reply, statuses: tuple[int, ...]) -> str:
    """The message of an error in OpenAI's shape.

    Raises:
        Fault: it has another status or shape.
    """
    if reply.trouble or reply.status not in statuses:
        raise Fault(told(reply), f"status {' or '.join(map(str, statuses))}")
    found = decoded(reply.body)
    if not text(found, "error", "message") or text(found, "error", "type") is None:
        raise Fault(
            f"the body {short(reply.body.decode(errors='replace'))}",
            '{"error": {"message": ..., "type": ..., "code": ...}}',
        )
    return error_of(reply)[1]


def refusing(path: str, lacking: Callable[[Scene], Ask]) -> Callable[[Scene], Plan]:
    """The plan of a check that is passed when wrong questions get errors in OpenAI's shape."""

    def plan(scene: Scene) -> Plan:
        shaped((yield from put(Ask(b'{"model": ', JSON, path))), (400, 422))
        shaped((yield from put(lacking(scene))), (400, 422))
        return ""

    return plan


JSON: Final = (("content-type", "application/json"),)
RAISES: Final = "the SDK raises, or shows nothing"


def _check(name: str, says: str, costs: str, plan: Callable[[Scene], Plan], level: Level = "must") -> Check:
    return Check(f"chat.{name}", (), says, costs, plan, level)


CHECKS: Final = (
    _check("whole", "a question is answered with one completion that has all its fields", RAISES, _whole),
    _check("stream", "a stream has one id, one finish_reason, and [DONE] at its end", RAISES, _streamed),
    _check(
        "usage",
        "include_usage puts the tokens into the last chunk",
        "costs are not counted",
        _usage,
        "should",
    ),
    _check(
        "length", "an answer cut by max_tokens says length", "half an answer is taken for a whole one", _cut
    ),
    _check("stop", "a stop sequence ends the answer, and is not in it", "agents read on into it", _stopped),
    _check("schema", "response_format with a schema is obeyed", "structured output fails", _schema),
    _check("call", "a call that is forced comes, and fits its schema", "agents run nothing", _called),
    _check(
        "call-stream", "a streamed call begins with index, id and name", "the call is lost", _call_streamed
    ),
    _check(
        "result", "a call and its result are taken back", "agents break at the first result", taken(_result)
    ),
    _check(
        "roles",
        "system and developer turns, and parts of text, are taken",
        "newer clients are refused",
        taken(
            lambda scene: asked(scene, {"role": "developer", "content": "Be kind."}, "Say yes."),
            lambda scene: asked(scene, {"role": "user", "content": [{"type": "text", "text": "Say yes."}]}),
            lambda scene: asked(scene, "Say yes.", max_tokens=None, max_completion_tokens=SHORT),
        ),
    ),
    _check(
        "errors",
        "wrong questions get a 400 in the API's shape",
        "nobody sees what is wrong",
        refusing(PATH, lambda scene: posted(PATH, {"model": scene.model})),
        "should",
    ),
)
