"""An answer in rounds; each round is played, and what is asked of it is looked at."""

import pytest
from contract.playhouse import CODER, answer, called, said, started
from harness import legal
from online.webserver import json, rows, web

from understudy.config import WebSettings
from understudy.language import errors
from understudy.language.events import Failed, MessageStop, TextDelta, Usage, told
from understudy.language.message import Collector, collect
from understudy.language.request import Request, Text, Tool, Turn
from understudy.language.target import Target
from understudy.language.web import Missed, ServerToolUse, WebResult, WebTool
from understudy.online.access import Access
from understudy.relay import Receipt, Said
from understudy.rounds import SHARE, in_rounds

ASK = Request(
    "m",
    (Turn("user", (Text("q"),)),),
    tools=(Tool("web_search", kind="web_search_1", web=WebTool("search", 3)), Tool("Read")),
)


class Heard(Collector):
    """What a client was told, and in which way."""

    def __init__(self):
        super().__init__()
        self.events = []

    def tell(self, events):
        assert events
        self.events += events
        super().tell(events)

    def more(self, text):
        self.events.append(TextDelta(text))
        super().more(text)


class Rounds:
    """Answers given round by round: events, or an error."""

    def __init__(self, *answers, receipt):
        self.answers = list(answers)
        self.asked = []
        self.said = []
        self.receipt = receipt

    async def ask(self, request, listener):
        self.asked.append(request)
        self.said.append(self.receipt.said)
        events = self.answers.pop(0)
        if isinstance(events, Exception):
            raise events
        self.receipt.target = Target("e", CODER)
        for event in events:
            if isinstance(event, str):
                assert listener.more(event) is None
            else:
                await told(listener, [event])
        self.receipt.said = Said.ALL
        if isinstance(events[-1], MessageStop):
            self.receipt.usage = events[-1].usage


async def play(*answers, rounds=10):
    heard, receipt = Heard(), Receipt()
    played = Rounds(*answers, receipt=receipt)
    async with web({"/search": rows("a", "b")}) as site:
        access = Access(WebSettings(search="searxng", search_url=site.url, rounds=rounds), "", str, str)
        await in_rounds(ASK, played.ask, access, receipt, heard)
    legal(heard.events)
    return heard, played, receipt


def looks(*numbers):
    calls = [called("web_search", {"query": "cats"}, f"toolu_{number}") for number in numbers]
    return answer(*calls, stop="tool_use")


async def test_one_round():
    heard, played, receipt = await play(answer("hello"))
    assert heard.finished() == collect(answer("hello"))
    assert len(played.asked) == 1
    assert receipt.usage.output_tokens == 7


async def test_two_rounds_are_one_answer():
    text = [started(), said("I see")[0], TextDelta("I see "), "docs.example/a", said("")[2]]
    heard, played, receipt = await play(looks(1), [*text, MessageStop("end_turn", usage=Usage(50, 40, 3))])
    call, result, final = heard.finished().blocks
    assert call == ServerToolUse("srvtoolu_1", "web_search", '{"query": "cats"}')
    assert result.tool_use_id == call.id
    assert final.text == "I see docs.example/a"
    assert [found.url for found in final.citations] == ["https://docs.example/a"]
    assert heard.finished().usage == receipt.usage == Usage(50, 40, 10)
    assert played.said == [Said.NOTHING, Said.NOTHING]
    assert receipt.said is Said.ALL
    assert played.asked[1].turns == (*ASK.turns, Turn("assistant", (call, result)))


async def test_uses_are_counted_over_all_rounds():
    heard, _, _ = await play(looks(1, 2), looks(3, 4), answer("So."))
    found = [block.found for block in heard.finished().blocks if isinstance(block, WebResult)]
    assert [isinstance(one, Missed) for one in found] == [False, False, False, True]
    assert found[3] == Missed("max_uses_exceeded")


@pytest.mark.parametrize("rounds", [1, 2])
async def test_there_is_an_end(rounds):
    heard, played, _ = await play(*[looks(1)] * 3, rounds=rounds)
    assert heard.finished().stop_reason == "pause_turn"
    assert len(played.asked) == rounds


async def test_a_call_of_the_clients_ends_it():
    both = answer(
        called("web_search", {"query": "a"}, "toolu_1"), called("Read", {}, "toolu_2"), stop="tool_use"
    )
    heard, played, _ = await play(both)
    assert heard.finished().stop_reason == "tool_use"
    assert len(played.asked) == 1


async def test_an_error_before_anything_was_said():
    with pytest.raises(errors.EngineBusy):
        await play(errors.EngineBusy("full"))


@pytest.mark.parametrize("how", ["raised", "told"])
async def test_an_error_in_a_later_round_is_told(how):
    error = errors.EngineLost("gone")
    heard, _, receipt = await play(looks(1), error if how == "raised" else [started(), Failed(error)])
    assert heard.events[-1] == Failed(error)
    assert receipt.said is Said.ALL


async def test_results_leave_room_in_the_window():
    long = [{"url": "https://a.example", "title": "A", "content": "x" * 10**6}]
    heard, receipt = Heard(), Receipt()
    played = Rounds(looks(1, 2), answer("So."), receipt=receipt)
    async with web({"/search": json({"results": long})}) as site:
        settings = WebSettings(search="searxng", search_url=site.url, page_tokens=10**6)
        await in_rounds(ASK, played.ask, Access(settings, "", str, str), receipt, heard)
    sizes = [len(block.found[0].text) for block in heard.finished().blocks if isinstance(block, WebResult)]
    assert sizes == [3 * (CODER.context // (2 * SHARE))] * 2
