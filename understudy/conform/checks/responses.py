"""Checks of OpenAI's Responses API: what Codex and the SDKs rely on. https://platform.openai.com/docs/api-reference/responses."""

from collections.abc import Callable
from typing import Final

from understudy.conform.answer import decoded, told
from understudy.conform.asks import BELL, LAMP, ROOM, prose
from understudy.conform.checks.chat import TITLE, fits, fitting, refusing, taken
from understudy.conform.exchange import Ask, Check, Fault, Json, Level, Plan, Reply, Scene, Skipped, put
from understudy.conform.judging import body_of, posted, short
from understudy.conform.stream import records
from understudy.conform.values import Object, at, number, obj, rows, text

PATH: Final = "/v1/responses"
LEAST: Final = 64
"""`max_output_tokens` where the form of an answer matters; the API takes no fewer than 16."""
LAST: Final = ("response.completed", "response.incomplete", "response.failed")
MORE: Final = 2000
"""Characters of an earlier turn."""
KEPT: Final = MORE // 12
"""The fewest tokens that these have."""


def function(tool: Json) -> Json:
    """One of the kit's tools in this dialect."""
    given = {"name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"]}
    return {"type": "function", "strict": False, **given}


TOOLS: Final = (function(BELL), function(LAMP))


def asked(scene: Scene, given: object, **fields: object) -> Ask:
    """A question: a text, or items."""
    body = {
        "model": scene.model,
        "input": given,
        "instructions": f"This is run {scene.salt}. Be brief.",
        "max_output_tokens": LEAST,
        "store": False,
        **fields,
    }
    return posted(PATH, body)


def lamp(scene: Scene, **fields: object) -> Ask:
    """A question that must be answered with a call of light_lamp."""
    choice = {"type": "function", "name": "light_lamp"}
    words = "Use the tool light_lamp now: the lamp of floor 3."
    return asked(scene, words, tools=TOOLS, tool_choice=choice, max_output_tokens=ROOM, **fields)


def said(body: object) -> str:
    """The text of an answer."""
    messages = [item for item in rows(at(body, "output")) if text(item, "type") == "message"]
    parts = [part for item in messages for part in rows(at(item, "content"))]
    return "".join(text(part, "text") or "" for part in parts if text(part, "type") == "output_text")


def calls(body: object) -> list[Object]:
    """Its function calls."""
    return [obj(item) for item in rows(at(body, "output")) if text(item, "type") == "function_call"]


# ---- whole answers ----


def _whole(scene: Scene) -> Plan:
    body = body_of((yield from put(asked(scene, "Say hello."))))
    for name, good in (
        ("id", bool(text(body, "id"))),
        ("object", text(body, "object") == "response"),
        ("status", text(body, "status") in ("completed", "incomplete")),
        ("model", bool(text(body, "model"))),
        ("output", all(text(item, "type") for item in rows(at(body, "output")))),
        ("usage", bool(number(body, "usage", "input_tokens") and number(body, "usage", "total_tokens"))),
    ):
        if not good:
            raise Fault(f"{name}: {short(str(at(body, name)))}", f"a response with its {name}")
    return ""


def _cut(scene: Scene) -> Plan:
    ask = asked(scene, "Write a long story about a river.", max_output_tokens=16)
    body = body_of((yield from put(ask)))
    ended = text(body, "status"), text(body, "incomplete_details", "reason")
    if ended != ("incomplete", "max_output_tokens"):
        raise Fault(f"status {ended[0]}, reason {ended[1]}", "status incomplete, reason max_output_tokens")
    return ""


def _schema(scene: Scene) -> Plan:
    wish = {"format": {"type": "json_schema", "name": "title", "strict": True, "schema": TITLE}}
    ask = asked(scene, "<session>What does plot.py draw?</session>", text=wish, max_output_tokens=ROOM)
    body = body_of((yield from put(ask)))
    return fitting(said(body), ended_early=text(body, "status") == "incomplete")


# ---- streams ----


def events(reply: Reply) -> list[Object]:
    """The events of a stream, whatever their frame.

    Raises:
        Fault: it is none.
    """
    return [event for _, event in _pairs(reply)]


def _pairs(reply: Reply) -> list[tuple[str, Object]]:
    """With the names that stand before them; a ping without a number is left out, `keepalive` has one."""
    if reply.trouble or reply.status != 200:  # noqa: PLR2004
        raise Fault(told(reply), "status 200 and a stream")
    pairs = [(name, obj(decoded(data.encode()))) for name, data in records(reply.body)]
    found = [pair for pair in pairs if _is(pair[1], "") or number(pair[1], "sequence_number") is not None]
    if not found:
        raise Fault("a stream of no event", f"response.created first, and last one of {', '.join(LAST)}")
    return found


def _streamed(scene: Scene) -> Plan:
    """Types, numbers, first and last."""
    pairs = _pairs((yield from put(asked(scene, "Say hello.", stream=True))))
    kinds = [text(event, "type") or "" for _, event in pairs]
    if wrong := next((pair for pair in zip(pairs, kinds, strict=True) if pair[0][0] != pair[1]), None):
        raise Fault(f"{wrong[1]} behind event: {wrong[0][0] or 'nothing'}", "event: lines with the type")
    numbers = [at(event, "sequence_number") for _, event in pairs]
    if numbers != list(range(len(pairs))):
        raise Fault(f"the sequence numbers {short(str(numbers))}", "0, 1, 2, ... without holes")
    if kinds[0] != "response.created" or kinds[-1] not in LAST:
        raise Fault(
            f"a stream of {kinds[0]} to {kinds[-1]}",
            f"response.created first, and last one of {', '.join(LAST)}",
        )
    return ""


def _agrees(scene: Scene) -> Plan:
    """Deltas, done events and the response at the end."""
    found = events((yield from put(asked(scene, "Say hello.", stream=True))))
    pieces = "".join(text(event, "delta") or "" for event in found if _is(event, "output_text.delta"))
    done = "".join(text(event, "text") or "" for event in found if _is(event, "output_text.done"))
    whole = said(at(found[-1], "response"))
    if not pieces == done == whole:
        raise Fault(
            f"deltas {short(pieces)!r}, done {short(done)!r}, at the end {short(whole)!r}",
            "the same text thrice",
        )
    return ""


def _is(event: Object, kind: str) -> bool:
    """Whether it is of this kind; "" for any that a response has."""
    found = text(event, "type") or ""
    return found == f"response.{kind}" if kind else found.startswith("response.")


def _added(scene: Scene) -> Plan:
    """Every delta belongs to an item that was added before it, and has not been done."""
    found = events((yield from put(lamp(scene, stream=True))))
    open_: set[object] = set()
    for event in found:
        place = at(event, "output_index")
        if _is(event, "output_item.added"):
            open_.add(place)
        elif _is(event, "output_item.done"):
            open_.discard(place)
        elif place is not None and place not in open_:
            raise Fault(
                f"{text(event, 'type')} for item {place}, which is not open", "output_item.added before"
            )
    if open_:
        raise Fault(f"items {sorted(map(str, open_))} without output_item.done", "output_item.done for each")
    return ""


# ---- tools ----


def _called(scene: Scene) -> Plan:
    body = body_of((yield from put(lamp(scene))))
    found = calls(body)
    if not found:
        raise Fault("no call", "a function_call")
    if not text(found[0], "call_id"):
        raise Fault("a call without a call_id", "a call_id, which its output names")
    cut = text(body, "status") == "incomplete"
    fits(text(found[0], "name") or "", text(found[0], "arguments") or "", cut=cut)
    return ""


def _call_streamed(scene: Scene) -> Plan:
    found = events((yield from put(lamp(scene, stream=True))))
    done = [event for event in found if _is(event, "function_call_arguments.done")]
    if not done:
        raise Fault("no function_call_arguments.done", "the arguments, in deltas and whole")
    place, written = at(done[0], "output_index"), text(done[0], "arguments") or ""
    deltas = [event for event in found if _is(event, "function_call_arguments.delta")]
    pieces = "".join(text(event, "delta") or "" for event in deltas if at(event, "output_index") == place)
    if pieces != written:
        raise Fault(f"deltas {short(pieces)!r}, done {short(written)!r}", "the same arguments")
    fits("light_lamp", written, cut=_is(found[-1], "incomplete"))
    return ""


def _result(scene: Scene) -> Ask:
    items = [
        {"role": "user", "content": "Light floor 3."},
        {"type": "function_call", "call_id": "call_1", "name": "light_lamp", "arguments": '{"floor": 3}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "it is lit"},
    ]
    return asked(scene, items, tools=TOOLS)


# ---- what is kept ----


def _goes_on(scene: Scene) -> Plan:
    first = body_of((yield from put(asked(scene, prose(MORE, "the weather"), store=True))))
    alone = body_of((yield from put(asked(scene, "And now?"))))
    reply = yield from put(asked(scene, "And now?", previous_response_id=text(first, "id") or ""))
    if reply.status in (400, 404, 501):
        raise Skipped(f"nothing is kept here: {told(reply)}")
    used = [number(body, "usage", "input_tokens") or 0 for body in (alone, body_of(reply))]
    if used[1] < used[0] + KEPT:
        raise Fault(
            f"{used[0]} tokens without previous_response_id, {used[1]} with it",
            "the earlier turn in the prompt",
        )
    return f"{used[1] - used[0]} more tokens"


RAISES: Final = "the SDK raises, or shows nothing"


def _check(name: str, says: str, costs: str, plan: Callable[[Scene], Plan], level: Level = "must") -> Check:
    return Check(f"responses.{name}", (), says, costs, plan, level)


CHECKS: Final = (
    _check("whole", "a question is answered with one response that has all its fields", RAISES, _whole),
    _check(
        "incomplete",
        "an answer cut by its limit is incomplete",
        "half an answer is taken for a whole one",
        _cut,
    ),
    _check("schema", "text.format with a schema is obeyed", "structured output fails", _schema),
    _check("stream", "events have their types and numbers, from created to completed", RAISES, _streamed),
    _check("text", "deltas, done events and the last response agree", "text is lost, or doubled", _agrees),
    _check("items", "items are added before their deltas, and done after them", RAISES, _added),
    _check("call", "a call that is forced comes, and fits its schema", "agents run nothing", _called),
    _check(
        "call-stream", "a call's deltas and its done event agree", "agents run something else", _call_streamed
    ),
    _check(
        "result", "a call and its output are taken back", "agents break at the first result", taken(_result)
    ),
    _check(
        "input",
        "input may be items of text, by the user and the developer",
        "Codex is refused",
        taken(
            lambda scene: asked(
                scene, [{"role": "user", "content": [{"type": "input_text", "text": "Say yes."}]}]
            ),
            lambda scene: asked(
                scene, [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "Say yes."}]
            ),
        ),
    ),
    _check(
        "previous",
        "previous_response_id goes on from a kept answer",
        "the conversation is forgotten at every turn",
        _goes_on,
        "should",
    ),
    _check(
        "errors",
        "wrong questions get a 400 in the API's shape",
        "nobody sees what is wrong",
        refusing(PATH, lambda scene: posted(PATH, {"model": scene.model, "input": 7})),
        "should",
    ),
)
