"""One target's answer on its way: what the client is told of it, and what is kept."""

import pytest
from harness import Heard, ids

from understudy.engines import Facts
from understudy.language import errors
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    TextDelta,
    ThinkingDelta,
    Usage,
    Verbatim,
)
from understudy.language.request import Request, Text, Tool, ToolUse, Turn
from understudy.language.target import Model, Target
from understudy.observe.metrics import REGISTRY
from understudy.relay import Receipt, Relay, Said
from understudy.request.prefix import fingerprint
from understudy.stages.line import Line
from understudy.store.sessions import Sessions
from understudy.tokens import Ruler

READ = Tool("Read", schema=b'{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}')
ASK = Request("m", (Turn("user", (Text("Hi"),)),), tools=(READ,))
START, OPEN, END = MessageStart("m"), BlockStart("text"), MessageStop("end_turn", usage=Usage(100, 60, 7))
CALL = [BlockStart("tool_use", "e1", "Read"), InputDelta('{"path": "a"}'), BlockStop()]


class Way:
    """A relay and all around it."""

    def __init__(self, *, kind="vllm", context=4096, raw=False):
        self.client = Heard()
        self.receipt = Receipt()
        self.session = Sessions(10**6).of("s")
        self.ruler = Ruler()
        target = Target("e", Model("m", context))
        line = Line(ASK, target.model, "native", tools=True, raw=False, new_id=ids())
        self.prompt = fingerprint(ASK)
        self.relay = Relay(
            target,
            Facts("e", kind, raw=raw),
            session=self.session,
            prompt=self.prompt,
            line=line,
            ruler=self.ruler,
            receipt=self.receipt,
            listener=self.client,
        )

    @property
    def told(self):
        """Everything the client has heard so far, and not been asked for yet."""
        out = []
        while not self.client.batches.empty():
            out += self.client.batches.get_nowait()
        return out


async def test_an_answer_is_told_counted_and_remembered():
    way = Way()
    way.receipt.prompt_size = 400
    way.relay.tell([START, OPEN])
    assert way.receipt.said is Said.SOME
    assert way.session.fingerprint == way.prompt
    way.relay.more("He")
    way.relay.more("llo")
    way.relay.tell([BlockStop(), *CALL, END])
    assert way.receipt.said is Said.ALL
    told = way.told
    assert [e.text for e in told if isinstance(e, TextDelta)] == ["He", "llo"]
    (call,) = [e for e in told if isinstance(e, BlockStart) and e.kind == "tool_use"]
    turn = way.session.recall(call.id).turn
    assert turn.blocks == (Text("Hello"), ToolUse("e1", "Read", '{"path": "a"}'))
    await way.relay.close()
    assert way.told == []
    assert way.receipt.usage == END.usage
    assert way.receipt.tool_calls == ("clean",)
    assert way.receipt.first_event is not None
    assert way.ruler.learnt
    assert not way.relay.lost


async def test_text_in_which_more_is_to_be_seen_takes_the_long_way():
    way = Way()
    way.relay.more("Hi")  # no block is open: nothing is lost all the same
    way.relay.tell([BlockStop(), END])
    assert [e.text for e in way.told if isinstance(e, TextDelta)] == ["Hi"]


async def test_progress_is_no_beginning():
    way = Way()
    way.relay.tell([Progress(1, 50, 20)])
    assert way.told == [Progress(1, 50, 20)]
    assert way.receipt.usage == Usage(50, 20)
    assert way.receipt.said is Said.NOTHING
    assert way.session.fingerprint == ()


VERBATIM = [Verbatim(b"1"), START, OPEN, TextDelta("a")]


async def test_what_comes_in_the_engines_own_bytes_is_metered_and_passes_no_stage():
    way = Way(raw=True)
    way.relay.tell(VERBATIM)
    assert way.receipt.said is Said.SOME
    way.relay.tell([Verbatim(b"2")])  # a ping
    way.relay.tell([Verbatim(b"3"), BlockStop(), *CALL, END])
    await way.relay.close()
    assert way.told == [*VERBATIM, Verbatim(b"2"), Verbatim(b"3"), BlockStop(), *CALL, END]
    assert (way.receipt.said, way.receipt.usage, way.receipt.tool_calls) == (Said.ALL, END.usage, ())
    assert way.session.recall("e1") is None


async def test_header_fields_come_along_with_the_first_bytes():
    way = Way(raw=True)
    fields = ((b"anthropic-ratelimit-requests-remaining", b"7"),)
    way.relay.tell([Verbatim(b"1", fields), *VERBATIM[1:]])
    way.relay.tell([Verbatim(b"2"), BlockStop(), END])
    await way.relay.close()
    assert way.receipt.headers()[-1] == fields[0]


async def test_a_cut_one_is_told_as_a_failure():
    way = Way(raw=True)
    way.relay.tell([Verbatim(b"1"), MessageStart("m", usage=Usage(5, 3))])
    assert way.receipt.usage == Usage(5, 3)
    way.relay.tell([Failed(FAILURE)])
    await way.relay.close()
    assert isinstance(way.told[-1], Failed)
    assert way.relay.lost


async def test_a_failure_behind_the_first_bytes_is_raised_while_nothing_was_told():
    way = Way(raw=True)
    way.relay.tell([Verbatim(b"1"), START, Failed(FAILURE)])
    assert way.told == []
    with pytest.raises(errors.EngineLost):
        await way.relay.close()


FAILURE = errors.EngineLost("gone")


@pytest.mark.parametrize("before", [[], [START], [START, OPEN, TextDelta("par")]], ids=len)
async def test_a_failure_of_which_nothing_was_told_is_raised(before):
    way = Way()
    way.relay.tell([*before, Failed(FAILURE)])
    assert way.told == []
    assert way.session.fingerprint == ()
    with pytest.raises(errors.EngineLost) as caught:
        await way.relay.close()
    assert caught.value is FAILURE
    assert way.told == []


async def test_a_failure_after_that_is_told():
    way = Way()
    way.relay.tell([START, OPEN, TextDelta("par")])
    way.relay.tell([Failed(FAILURE)])
    assert way.told[-1] == Failed(FAILURE)
    assert way.relay.lost
    assert way.receipt.said is Said.ALL
    way.relay.tell([TextDelta("late"), END])
    await way.relay.close()
    assert way.told == []


async def test_an_engine_that_just_stops_has_cut_its_answer():
    way = Way()
    way.relay.tell([START, OPEN, TextDelta("par")])
    assert way.told
    await way.relay.close()
    (last,) = way.told
    assert isinstance(last, Failed)
    assert way.relay.lost


async def test_an_engine_that_says_nothing_has_failed():
    way = Way()
    with pytest.raises(errors.EngineLost):
        await way.relay.close()
    assert way.told == []


async def test_an_overflow_gets_both_numbers():
    way = Way()
    way.receipt.prompt_size = 40_000
    way.relay.tell([START, OPEN])
    way.relay.tell([Failed(errors.PromptTooLong(0, 0))])
    error = way.told[-1].error
    assert error.maximum == 4096
    assert error.tokens > 4096


@pytest.mark.parametrize(
    ("kind", "context", "cut"), [("ollama", 4096, True), ("ollama", 0, False), ("vllm", 4096, False)]
)
async def test_a_prompt_cut_in_silence_is_found_out(kind, context, cut):
    way = Way(kind=kind, context=context)
    way.receipt.prompt_size = 40_000
    way.relay.tell([START, OPEN, TextDelta("nonsense")])
    way.relay.tell([BlockStop(), MessageStop("end_turn", usage=Usage(2050, None, 1))])
    assert isinstance(way.told[-1], Failed) == cut


async def test_nothing_is_remembered_for_the_cloud():
    way = Way(raw=True)
    way.relay.tell([START, *CALL, MessageStop("tool_use")])
    (call,) = [e for e in way.told if isinstance(e, BlockStart)]
    assert way.session.recall(call.id) is None


async def test_thinking_is_kept_too_and_tokens_are_counted():
    before = REGISTRY.get_sample_value("understudy_output_tokens_total")
    way = Way()
    way.relay.tell([START, BlockStart("thinking"), ThinkingDelta("hm"), BlockStop(), *CALL, END])
    await way.relay.close()
    assert REGISTRY.get_sample_value("understudy_output_tokens_total") == before + 7
