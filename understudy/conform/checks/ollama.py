"""Checks of Ollama's API: what its own client and its apps rely on. https://github.com/ollama/ollama/blob/main/docs/api.md."""

from collections.abc import Callable
from typing import Final

from understudy.conform.answer import decoded, told
from understudy.conform.asks import BELL, LAMP, ROOM, SHORT
from understudy.conform.checks.chat import JSON, TITLE, fitting, function, taken
from understudy.conform.exchange import Ask, Check, Fault, Json, Level, Plan, Reply, Scene, Undecided, put
from understudy.conform.judging import body_of, posted, short, unfit
from understudy.conform.values import Object, at, number, obj, rows, text

CHAT: Final = "/api/chat"
GENERATE: Final = "/api/generate"
TOOLS: Final = (function(BELL), function(LAMP))


def asked(scene: Scene, *turns: Json | str, limit: int = SHORT, **fields: object) -> Ask:
    """A question to /api/chat: these messages, or this prompt."""
    messages = [{"role": "user", "content": turn} if isinstance(turn, str) else turn for turn in turns]
    start: Json = {"role": "system", "content": f"This is run {scene.salt}. Be brief."}
    options = {"num_predict": limit}
    return posted(CHAT, {"model": scene.model, "messages": [start, *messages], "options": options, **fields})


# ---- streams ----


def lines(reply: Reply) -> list[Object]:
    """The objects of a stream, in whose frame nothing is wrong.

    Raises:
        Fault: it is none; a line is no JSON; or not only the last one is done.
    """
    if reply.trouble or reply.status != 200:  # noqa: PLR2004
        raise Fault(told(reply), "status 200 and a stream")
    out = []
    for line in reply.body.splitlines():
        found = decoded(line)
        if line.strip() and not isinstance(found, dict):
            raise Fault(
                f"a line that is no JSON object: {short(line.decode(errors='replace'))}", "one per line"
            )
        if line.strip():
            out.append(obj(found))
    done = [at(line, "done") for line in out]
    if not done or done != [False] * (len(done) - 1) + [True]:
        raise Fault(f"done is {short(str(done))}", "false in all lines, and true in the last")
    return out


def _streamed(scene: Scene) -> Plan:
    reply = yield from put(asked(scene, "Say hello."))
    found = lines(reply)
    if not reply.headers.get("content-type", "").startswith("application/x-ndjson"):
        raise Fault(
            f"content-type: {reply.headers.get('content-type')}", "content-type: application/x-ndjson"
        )
    if not all(isinstance(at(line, "message"), dict) for line in found):
        raise Fault("a line without a message", "a message in every line")
    return f"{len(found)} lines"


def _told(scene: Scene) -> Plan:
    last = lines((yield from put(asked(scene, "Say hello."))))[-1]
    for name in ("prompt_eval_count", "eval_count"):
        if not number(last, name):
            raise Fault(f"{name}: {at(last, name)}", "the tokens of prompt and answer, in the last line")
    return ""


def _generated(scene: Scene) -> Plan:
    ask = posted(
        GENERATE,
        {"model": scene.model, "prompt": "Say hello.", "options": {"num_predict": SHORT}, "stream": True},
    )
    found = lines((yield from put(ask)))
    if not any(text(line, "response") for line in found):
        raise Fault("no line with a response", "the text, piece by piece, as response")
    return ""


# ---- whole answers ----


def _whole(scene: Scene) -> Plan:
    body = body_of((yield from put(asked(scene, "Say hello.", stream=False))))
    for name, good in (
        ("model", bool(text(body, "model"))),
        ("created_at", bool(text(body, "created_at"))),
        ("message", text(body, "message", "role") == "assistant"),
        ("done", at(body, "done") is True),
    ):
        if not good:
            raise Fault(f"{name}: {short(str(at(body, name)))}", f"an answer with its {name}")
    return ""


def _cut(scene: Scene) -> Plan:
    ask = asked(scene, "Write a long story about a river.", limit=1, stream=False)
    reason = text(body_of((yield from put(ask))), "done_reason")
    if reason != "length":
        raise Fault(f"done_reason {reason!r} with num_predict 1", "done_reason 'length'")
    return ""


def _schema(scene: Scene) -> Plan:
    words = "<session>What does plot.py draw?</session>"
    body = body_of((yield from put(asked(scene, words, format=TITLE, limit=ROOM, stream=False))))
    said = text(body, "message", "content") or ""
    return fitting(said, ended_early=text(body, "done_reason") == "length")


# ---- tools ----


def _called(scene: Scene) -> Plan:
    """There is no tool_choice in this dialect: a model may not call."""
    words = "Use the tool light_lamp now: the lamp of floor 3."
    body = body_of((yield from put(asked(scene, words, tools=TOOLS, limit=ROOM, stream=False))))
    calls = rows(at(body, "message", "tool_calls"))
    if not calls:
        raise Undecided("the model made no call")
    found = at(calls[0], "function", "arguments")
    if not isinstance(found, dict):
        raise Fault(f"arguments that are no object: {short(str(found))}", "an object, not its text")
    schemas = {"light_lamp": LAMP["input_schema"], "ring_bell": BELL["input_schema"]}
    name = text(calls[0], "function", "name") or ""
    wrong = unfit(found, schemas[name]) if name in schemas else "it was not offered"
    if wrong:
        raise Fault(f"a call of {name!r}: {wrong}", "a call of an offered tool, that fits its schema")
    return ""


def _result(scene: Scene) -> Ask:
    call = {"function": {"name": "light_lamp", "arguments": {"floor": 3}}}
    turns: tuple[Json, ...] = (
        {"role": "user", "content": "Light floor 3."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_name": "light_lamp", "content": "it is lit"},
    )
    return asked(scene, *turns, tools=TOOLS, stream=False)


# ---- listings and refusals ----


def _listed(scene: Scene) -> Plan:
    del scene
    found = rows(at(body_of((yield from put(Ask(path="/api/tags", method="GET")))), "models"))
    if not found or not all(text(row, "name") and text(row, "model") for row in found):
        raise Fault(f"the models {short(str(found))}", '{"models": [{"name": ..., "model": ...}]}')
    if not text(body_of((yield from put(Ask(path="/api/version", method="GET")))), "version"):
        raise Fault("/api/version tells none", '{"version": ...}')
    return f"{len(found)} models"


def _shown(scene: Scene) -> Plan:
    body = body_of((yield from put(posted("/api/show", {"model": scene.model}))))
    if not rows(at(body, "capabilities")) or not isinstance(at(body, "model_info"), dict):
        raise Fault(f"the fields {', '.join(body) or 'none'}", "capabilities and model_info")
    return ""


def _refused(scene: Scene) -> Plan:
    broken = yield from put(Ask(b'{"model": ', JSON, CHAT))
    unknown = yield from put(asked(scene, "Say yes.", model="no-such-model-9000"))
    for reply, status in ((broken, 400), (unknown, 404)):
        if reply.trouble or reply.status != status:
            raise Fault(told(reply), f"status {status}")
        if not text(decoded(reply.body), "error"):
            raise Fault(f"the body {short(reply.body.decode(errors='replace'))}", '{"error": "..."}')
    return ""


RAISES: Final = "the client raises, or shows nothing"


def _check(name: str, says: str, costs: str, plan: Callable[[Scene], Plan], level: Level = "must") -> Check:
    return Check(f"ollama.{name}", (), says, costs, plan, level)


CHECKS: Final = (
    _check("listing", "/api/tags and /api/version answer", "apps find no model", _listed),
    _check(
        "show",
        "/api/show tells what a model can",
        "apps offer it neither tools nor pictures",
        _shown,
        "should",
    ),
    _check("whole", "with stream: false there comes one object with all its fields", RAISES, _whole),
    _check("stream", "a stream is lines of JSON, and the last is done", RAISES, _streamed),
    _check("usage", "the last line tells the tokens", "costs are not counted", _told, "should"),
    _check("generate", "/api/generate streams its response", "simple apps show nothing", _generated),
    _check(
        "length", "an answer cut by num_predict says length", "half an answer is taken for a whole one", _cut
    ),
    _check("schema", "format with a schema is obeyed", "structured output fails", _schema),
    _check(
        "call", "the arguments of a call are an object that fits its schema", "agents run nothing", _called
    ),
    _check(
        "result", "a call and its result are taken back", "agents break at the first result", taken(_result)
    ),
    _check(
        "errors",
        "an error is {error: text}, and an unknown model a 404",
        "nobody sees what is wrong",
        _refused,
    ),
)
