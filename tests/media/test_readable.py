"""Pictures and documents on the whole path, from the client's bytes to what the engine is asked. No sockets, no sleeps."""

import asyncio

import msgspec
import pytest
from media.eyes import (
    SET,
    TEXT_MODEL,
    b64png,
    block,
    described,
    eyes,
    png,
    sightless,
    text_only,
)
from media.tinypdf import b64, pdf
from web.driver import Puppet, Visit, ask, house, question, say

from understudy.config import Documents, Images
from understudy.dialects import Quirks
from understudy.dialects.words import BLIND
from understudy.engines import KINDS
from understudy.language import errors
from understudy.language.events import Failed, Progress
from understudy.language.request import Document, Image, Text, ToolResult, text_of
from understudy.language.target import Model
from understudy.media.readable import BLIND_SECONDS, PERHAPS
from understudy.observe.metrics import REGISTRY

BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
LOOK = {"type": "text", "text": "Look at this."}
OMIT = Images(missing="omit")
REFUSAL = errors.EngineBlind("coder is not a multimodal model")
USED = {"type": "tool_use", "id": "c1", "name": "Read", "input": {"file_path": "a.png"}}
AWAY = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}
NOT_FETCHED = Text(
    "[A picture at https://a.example/b.png, which was not fetched: ask for its content, or for the file.]"
)


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def result(*blocks):
    return {"type": "tool_result", "tool_use_id": "c1", "content": list(blocks)}


def document(data, media_type="application/pdf", **more):
    return {
        "type": "document",
        "source": {"type": "base64", "media_type": media_type, "data": b64(data)},
        **more,
    }


ONE = [user(LOOK, block(1))]
TALK = [user({"type": "text", "text": "Read it."}), assistant(USED), user(result(block(1)), LOOK)]


def metric(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0


def shown(engine, number=-1):
    """The blocks of every turn that the engine was asked with."""
    return [turn.blocks for turn in engine.requests[number].turns]


# -- who describes -------------------------------------------------------------------------------------------------


@BOTH
async def test_a_picture_of_the_user_is_described(stream):
    coder, seer = text_only(), eyes()
    async with house(coder, seer, images=SET) as built:
        visit = await ask(built, ONE, stream=stream)()
    assert visit.status == 200
    assert shown(coder) == [(Text("Look at this."), Text(described()))]
    assert visit.headers["x-understudy-media"] == "1 picture described by eyes/vl"
    assert visit.headers["x-understudy-target"] == "coder/coder"


@pytest.mark.requirement("CC-5.7", "CC-8.30")
async def test_a_picture_in_a_tools_result_is_described():
    coder, seer = text_only(), eyes()
    async with house(coder, seer, images=SET) as built:
        await ask(built, TALK)()
    assert shown(coder)[-1] == (ToolResult("c1", (Text(described()),)), Text("Look at this."))


async def test_the_same_picture_in_every_turn_is_described_once():
    coder, seer = text_only(), eyes()
    turns = list(ONE)
    async with house(coder, seer, images=SET) as built:
        for number in range(4):
            visit = await ask(built, turns)()
            assert visit.headers["x-understudy-prefix"].startswith("kept" if number else "new")
            turns += [assistant({"type": "text", "text": f"Turn {number}"}), user(LOOK, block(1))]
    assert len(seer.requests) == 1
    assert len(shown(coder)) == 7
    firsts = {msgspec.json.encode(shown(coder, number)[0]) for number in range(4)}
    assert len(firsts) == 1, "byte for byte"


async def test_two_engines_are_shown_the_same_words():
    one, two, seer = text_only(name="one"), text_only(name="two"), eyes()
    async with house(one, two, seer, images=SET) as built:
        await ask(built, ONE, model="one/coder")()
        await ask(built, ONE, model="two/coder")()
    assert shown(one) == shown(two)
    assert len(seer.requests) == 1


async def test_many_at_once_are_one_question():
    gate = asyncio.Event()
    coder, seer = text_only(), eyes([gate, say("It shows a cat.")])
    async with house(coder, seer, images=SET) as built:
        visits = [ask(built, [user({"type": "text", "text": f"{n}"}, block(1))]).start() for n in range(8)]
        await seer.asked.wait()
        gate.set()
        for visit in visits:
            await visit.over()
    assert [visit.status for visit in visits] == [200] * 8
    assert len(seer.requests) == 1
    assert len(coder.requests) == 8


async def test_several_pictures_and_one_of_them_twice():
    coder, seer = text_only(), eyes([say("A cat.")], [say("A dog.")])
    async with house(coder, seer, images=Images(describer="eyes/vl", at_once=1)) as built:
        visit = await ask(built, [user(block(1), block(2), block(1))])()
    cat, dog = Text(described("A cat.")), Text(described("A dog."))
    assert shown(coder) == [(cat, dog, cat)]
    assert visit.headers["x-understudy-media"] == "2 pictures described by eyes/vl"


async def test_a_conversation_stays_the_same_one():
    """The words of a picture that opens it are not taken for its first words."""
    coder, seer = text_only(), eyes()
    async with house(coder, seer, images=SET) as built:
        await ask(built, [user(block(1), LOOK)])()
        await ask(built, [user(LOOK)])()
    assert coder.sessions[0] == coder.sessions[1]


async def test_who_leaves_frees_the_describer():
    coder, seer = text_only(), eyes([asyncio.Event()])
    async with house(coder, seer, images=SET) as built:
        visit = ask(built, ONE).start()
        await seer.asked.wait()
        visit.leave()
        await visit.over()
        async with asyncio.timeout(5):
            await seer.left.wait()
    assert seer.open == 0
    assert coder.requests == []


async def test_pings_while_it_is_being_described():
    gate = asyncio.Event()
    coder, seer = text_only([say("I see.")]), eyes([gate, say("It shows a cat.")])
    async with house(coder, seer, images=SET, ping=0.01) as built:
        visit = ask(built, ONE, stream=True).start()
        await visit.until(lambda v: v.names.count("ping") >= 2)
        assert visit.headers["x-understudy-media"] == "1 picture described by eyes/vl"
        gate.set()
        await visit.over()
    assert visit.names[-1] == "message_stop"
    assert visit.text == "I see."


# -- who cannot ----------------------------------------------------------------------------------------------------

DOWN = {
    "busy": (errors.EngineBusy("all slots are taken", retry_after=9), 503, "all slots are taken"),
    "gone": (errors.EngineLost("connection refused"), 503, "connection refused"),
    "blind": (
        errors.EngineBlind("vl is not a multimodal model"),
        502,
        "Set [images] describer to a model that sees",
    ),
    "a picture that is broken": (errors.EngineRefused("cannot identify image"), 400, "Leave the picture out"),
}


@BOTH
@pytest.mark.parametrize(("error", "status", "words"), DOWN.values(), ids=DOWN)
async def test_a_describer_that_fails_is_a_clear_error(error, status, words, stream):
    coder, seer = text_only(), eyes([error], [say("It shows a cat.")])
    async with house(coder, seer, images=SET) as built:
        visit = await ask(built, ONE, stream=stream)()
        assert visit.status == status
        message = visit.json["error"]["message"]
        assert message.startswith("a picture could not be described by eyes/vl: ")
        assert words in message
        assert coder.requests == []
        again = await ask(built, ONE, stream=stream)()
    assert again.status == 200, "a failure is not kept"


async def test_a_describer_that_is_not_there():
    async with house(text_only(), images=SET) as built:
        visit = await ask(built, ONE)()
    assert visit.status == 502
    assert "Models here: coder" in visit.json["error"]["message"]


@BOTH
@pytest.mark.parametrize("engine", [text_only, sightless], ids=["its model says so", "its settings say so"])
async def test_with_no_describer_it_is_refused(engine, stream):
    coder = engine()
    async with house(coder) as built:
        visit = await ask(built, TALK, stream=stream)()
    assert visit.status == 400
    error = visit.json["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith("coder/coder cannot see pictures")
    assert 'describer = "engine/model"' in error["message"]
    assert 'missing = "omit"' in error["message"]
    assert coder.requests == []


async def test_with_no_describer_it_may_be_left_out():
    before = metric("understudy_pictures_total", outcome="omitted")
    coder = text_only()
    async with house(coder, images=OMIT) as built:
        visit = await ask(built, TALK)()
    assert shown(coder)[-1] == (ToolResult("c1", (Text(BLIND),)), Text("Look at this."))
    assert visit.headers["x-understudy-media"] == "1 picture omitted"
    assert metric("understudy_pictures_total", outcome="omitted") == before + 1


@BOTH
async def test_another_target_may_see(stream):
    coder, other = text_only(), Puppet([say("I see a cat.")], name="other")
    async with house(coder, other) as built:
        visit = await ask(built, ONE, stream=stream)()
    assert visit.headers["x-understudy-target"] == "other/coder"
    assert coder.requests == []
    assert shown(other) == [(Text("Look at this."), Image("image/png", b64png(1)))]
    assert "x-understudy-media" not in visit.headers


async def test_who_sees_is_shown_the_picture():
    coder, seer = Puppet(), eyes()
    async with house(coder, seer, images=SET) as built:
        visit = await ask(built, TALK)()
    assert shown(coder)[-1][0] == ToolResult("c1", (Image("image/png", b64png(1)),))
    assert seer.requests == []
    assert "x-understudy-media" not in visit.headers


async def test_a_question_without_pictures_is_the_very_same():
    coder = text_only()
    async with house(coder) as built:
        visit = await ask(built, "Hi")()
    assert visit.status == 200
    assert coder.requests[0].raw == visit_body("Hi")


def visit_body(text):
    return msgspec.json.encode(question(text))


# -- who turns out to be blind ---------------------------------------------------------------------------------------


def refusing(*answers, refusal=REFUSAL, **facts):
    return Puppet([refusal], *(answers or [[say("Hello")]]), name="coder", **facts)


@BOTH
@pytest.mark.parametrize(
    "steps",
    [
        [REFUSAL],
        [[Failed(REFUSAL)]],
        [[Progress(10, 1, 0)], REFUSAL],
        [[Progress(10, 1, 0), Failed(REFUSAL)]],
    ],
    ids=["raised", "told", "raised after progress", "told after progress"],
)
async def test_who_turns_out_to_be_blind_is_asked_again_in_words(steps, stream):
    coder, seer = Puppet(steps, [say("I see.")], name="coder"), eyes()
    async with house(coder, seer, images=SET) as built:
        visit = await ask(built, TALK, stream=stream)()
        assert visit.status == 200
        assert visit.headers["x-understudy-media"] == "1 picture described by eyes/vl"
        assert shown(coder, 0)[-1][0] == ToolResult("c1", (Image("image/png", b64png(1)),))
        assert shown(coder, 1)[-1][0] == ToolResult("c1", (Text(described()),))
        await ask(built, TALK, stream=stream)()
    assert len(coder.requests) == 3, "it is known from then on"


async def test_the_same_request_twice_at_once_finds_out_twice():
    """The second is refused as well, and must not be told that the first one knows already."""
    gate = asyncio.Event()
    coder = Puppet([gate, REFUSAL], [gate, REFUSAL], [say("I see.")], name="coder")
    async with house(coder, eyes(), images=SET) as built:
        visits = [ask(built, [user({"type": "text", "text": f"{n}"}, block(1))]).start() for n in range(2)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(coder.requests) == 2
        gate.set()
        for visit in visits:
            await visit.over()
    assert [visit.status for visit in visits] == [200, 200]


async def test_blind_and_no_describer_is_refused():
    coder = refusing()
    async with house(coder) as built:
        visits = [await ask(built, ONE)() for _ in range(2)]
    for visit in visits:
        assert visit.status == 400
        assert visit.json["error"]["message"].startswith("coder/coder cannot see pictures")
    assert len(coder.requests) == 1


async def test_blind_and_left_out():
    coder = refusing()
    async with house(coder, images=OMIT) as built:
        visit = await ask(built, ONE)()
    assert visit.status == 200
    assert shown(coder) == [(Text("Look at this."), Text(BLIND))]


async def test_blindness_is_forgotten_after_a_while():
    now = 1000.0
    coder, seer = refusing(), eyes()
    async with house(coder, seer, images=SET) as built:
        built.gateway._media._clock = lambda: now
        await ask(built, ONE)()
        now += BLIND_SECONDS - 1
        await ask(built, ONE)()
        assert isinstance(shown(coder)[0][1], Text)
        now += 1
        await ask(built, ONE)()
        assert isinstance(shown(coder)[0][1], Image)


async def test_blindness_is_not_prolonged_by_asking():
    now = 1000.0
    coder = refusing()
    async with house(coder) as built:
        built.gateway._media._clock = lambda: now
        for _ in range(2):
            assert (await ask(built, ONE)()).status == 400
            now += BLIND_SECONDS / 2
        assert (await ask(built, ONE)()).status == 200


async def test_blindness_is_of_one_target():
    one, two = refusing(), Puppet(name="two")
    async with house(one, two, eyes(), images=SET) as built:
        await ask(built, ONE)()
        await ask(built, ONE, model="two/coder")()
    assert isinstance(shown(two)[0][1], Image)


async def test_one_that_says_so_of_words_alone_is_believed():
    coder = Puppet([REFUSAL])
    async with house(coder, eyes(), images=SET) as built:
        visit = await ask(built, "Hi")()
    assert visit.status == 400
    assert visit.json["error"]["message"] == REFUSAL.message
    assert len(coder.requests) == 1


async def test_one_that_says_so_of_a_description_too_is_believed():
    coder = Puppet([REFUSAL])
    async with house(coder, eyes(), images=SET) as built:
        visit = await ask(built, ONE)()
    assert visit.status == 400
    assert len(coder.requests) == 2


async def test_after_it_has_begun_to_answer_nothing_is_asked_again():
    begun = say("I s")[:3]
    coder = Puppet([begun, REFUSAL])
    async with house(coder, eyes(), images=SET) as built:
        visit = await ask(built, ONE, stream=True)()
    assert visit.names[-1] == "error"
    assert len(coder.requests) == 1


async def test_a_describers_blindness_is_not_the_targets():
    coder, seer = text_only(), eyes([errors.EngineBlind("vl is not a multimodal model")])
    async with house(coder, seer, images=SET) as built:
        await ask(built, ONE)()
        assert built.gateway._media._blind == {}


# -- somewhere else --------------------------------------------------------------------------------------------------

FETCHES = {  # engine, images: what it is shown
    "one that fetches": (lambda: Puppet(name="coder"), SET, Image(url="https://a.example/b.png")),
    "one that does not": (lambda: Puppet(name="coder", quirks=Quirks(image_urls=False)), SET, NOT_FETCHED),
    "one that cannot see": (text_only, SET, NOT_FETCHED),
    "and nobody who could": (text_only, Images(), NOT_FETCHED),
    "and they are left out": (text_only, OMIT, NOT_FETCHED),
}


@pytest.mark.parametrize("kind", KINDS)
def test_engines_that_fetch_nothing(kind):
    """Ollama's wire has bytes only; LM Studio says "'url' field must be a base64 encoded image"."""
    assert KINDS[kind].quirks.image_urls == (kind not in {"ollama", "lmstudio"})


@pytest.mark.parametrize(("engine", "images", "place"), FETCHES.values(), ids=FETCHES)
async def test_a_picture_somewhere_else_is_not_fetched(engine, images, place):
    coder, seer = engine(), eyes()
    async with house(coder, seer, images=images) as built:
        visit = await ask(built, [user(AWAY)])()
    assert shown(coder) == [(place,)]
    assert seer.requests == []
    assert ("x-understudy-media" in visit.headers) == (place == NOT_FETCHED)


async def test_one_that_turns_out_to_be_blind_for_a_picture_somewhere_else():
    coder = refusing()
    async with house(coder) as built:
        visit = await ask(built, [user(AWAY)])()
    assert visit.status == 200
    assert shown(coder) == [(NOT_FETCHED,)]
    assert visit.headers["x-understudy-media"] == "1 picture not fetched"


# -- documents -------------------------------------------------------------------------------------------------------

HELLO = pdf("Hello, world.")
TEXT = "[A PDF of 1 page. Its text:]\n\n[Page 1]\nHello, world."


@pytest.mark.parametrize("engine", [text_only, Puppet], ids=["blind", "seeing"])
async def test_a_pdf_is_its_text(engine):
    coder = engine()
    async with house(coder) as built:
        visit = await ask(built, [user(document(HELLO, title="hello.pdf"), LOOK)])()
    assert shown(coder) == [
        (Document("application/pdf", text=TEXT, title="hello.pdf"), Text("Look at this."))
    ]
    assert visit.headers["x-understudy-media"] == "1 document as text"


@pytest.mark.requirement("CC-5.11")
async def test_a_pdf_in_every_turn_is_read_once():
    before = metric("understudy_documents_total", outcome="whole")
    coder = text_only()
    turns = [user({"type": "text", "text": "Read."}), assistant(USED), user(result(document(HELLO)))]
    async with house(coder) as built:
        for _ in range(3):
            await ask(built, turns)()
            turns += [assistant({"type": "text", "text": "Yes."}), user(LOOK)]
    assert metric("understudy_documents_total", outcome="whole") == before + 1
    assert shown(coder)[2] == (ToolResult("c1", (Document("application/pdf", text=TEXT),)),)


async def test_settings_of_documents_are_used():
    coder = text_only()
    async with house(coder, documents=Documents(text="5")) as built:
        await ask(built, [user(document(HELLO))])()
    assert "Hello\n\n[Cut on page 1 of 1" in shown(coder)[0][0].text


KEPT = {
    "a text": (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "note"}},
        Document("text/plain", text="note"),
    ),
    "a text in base64": (document(b"a,b", "text/csv"), Document("text/csv", text="a,b")),
    "something else": (document(b"PK", "application/zip"), Document("application/zip", b64(b"PK"))),
    "somewhere else": (
        {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}},
        Document(url="https://a.example/b.pdf"),
    ),
}


@pytest.mark.parametrize(("sent", "got"), KEPT.values(), ids=KEPT)
async def test_other_documents(sent, got):
    coder = text_only()
    async with house(coder) as built:
        await ask(built, [user(sent)])()
    assert shown(coder) == [(got,)]


async def test_everything_at_once():
    coder = text_only()
    async with house(coder, eyes(), images=SET) as built:
        visit = await ask(built, [user(block(1), document(HELLO), AWAY, document(b"a", "text/plain"))])()
    assert visit.headers["x-understudy-media"] == (
        "1 picture described by eyes/vl, 2 documents as text, 1 picture not fetched"
    )
    assert len(text_of(shown(coder)[0])) > 0


async def test_what_was_found_before_another_failed_is_kept():
    coder, seer = text_only(), eyes([say("A cat.")], [errors.EngineRefused("broken")], [say("A dog.")])
    two = [user(block(1), block(2))]
    async with house(coder, seer, images=Images(describer="eyes/vl", at_once=1)) as built:
        assert (await ask(built, two)()).status == 400
        assert (await ask(built, two)()).status == 200
    assert len(seer.requests) == 3


async def test_when_one_fails_the_others_are_waited_for():
    """Nothing goes on behind the client's back."""
    gate = asyncio.Event()
    coder, seer = text_only(), eyes([errors.EngineRefused("broken")], [gate, say("A dog.")])
    async with house(coder, seer, images=SET) as built:
        visit = ask(built, [user(block(1), block(2))]).start()
        for _ in range(30):
            await asyncio.sleep(0)
        assert not visit.finished
        gate.set()
        await visit.over()
    assert visit.status == 400


# -- the Claude API --------------------------------------------------------------------------------------------------


async def test_toward_the_claude_api_nothing_is_touched():
    cloud = Puppet(name="claude", local=False, quirks=Quirks(images=False, image_urls=False))
    sent = [user(block(1), AWAY, document(HELLO))]
    async with house(cloud, eyes(), images=SET) as built:
        visit = await ask(built, sent)()
        counted = await Visit(built.app, path="/v1/messages/count_tokens", body=question(sent))()
    assert cloud.requests[0].raw == msgspec.json.encode(question(sent))
    assert shown(cloud)[0][0] == Image("image/png", b64png(1))
    assert "x-understudy-media" not in visit.headers
    assert "x-understudy-media" not in counted.headers


async def test_the_claude_api_is_not_asked_again():
    cloud = Puppet([REFUSAL], name="claude", local=False)
    async with house(cloud, eyes(), images=SET) as built:
        visit = await ask(built, ONE)()
        assert built.gateway._media._blind == {}
    assert visit.json["error"]["message"] == REFUSAL.message
    assert len(cloud.requests) == 1


async def test_what_was_done_for_another_target_is_not_said_of_it():
    coder = text_only([errors.EngineBusy("full")])
    cloud = Puppet(name="claude", local=False, models=(Model("coder", 65536),))
    async with house(coder, cloud, eyes(), images=SET) as built:
        visit = await ask(built, ONE)()
    assert visit.headers["x-understudy-target"] == "claude/coder"
    assert "x-understudy-media" not in visit.headers


# -- counting --------------------------------------------------------------------------------------------------------


class Counting(Puppet):
    """Counts words, and keeps what it was asked to count."""

    def __init__(self, *args, **facts):
        super().__init__(*args, **facts)
        self.counted_turns = []

    async def count(self, request):
        self.counted_turns.append([turn.blocks for turn in request.turns])
        return sum(len(text_of(turn.blocks).split()) for turn in request.turns)


async def count(built, turns):
    return await Visit(built.app, path="/v1/messages/count_tokens", body=question(turns))()


async def test_a_description_that_is_known_is_counted():
    coder, seer = Counting(name="coder", models=(TEXT_MODEL,)), eyes()
    async with house(coder, seer, images=SET) as built:
        await ask(built, ONE)()
        visit = await count(built, ONE)
    assert coder.counted_turns == [[(Text("Look at this."), Text(described()))]]
    assert visit.json["input_tokens"] == len(f"Look at this. {described()}".split())
    assert "x-understudy-estimate" not in visit.headers
    assert len(seer.requests) == 1


@pytest.mark.parametrize("images", [SET, Images()], ids=["not yet described", "nobody to describe it"])
async def test_counting_describes_nothing_and_says_that_it_guesses(images):
    coder, seer = Counting(name="coder", models=(TEXT_MODEL,)), eyes()
    async with house(coder, seer, images=images) as built:
        visit = await count(built, ONE)
    assert visit.status == 200
    assert visit.json["input_tokens"] == len(f"Look at this. {PERHAPS.text}".split()) == 403
    assert visit.headers["x-understudy-estimate"] == "true"
    assert seer.requests == coder.requests == []


async def test_a_pdf_is_counted_as_its_text():
    coder = Counting(name="coder", models=(TEXT_MODEL,))
    async with house(coder) as built:
        visit = await count(built, [user(document(HELLO), LOOK)])
    assert coder.counted_turns == [[(Document("application/pdf", text=TEXT), Text("Look at this."))]]
    assert "x-understudy-estimate" not in visit.headers


async def test_what_is_left_out_is_counted_as_what_stands_there():
    coder = Counting(name="coder", models=(TEXT_MODEL,))
    async with house(coder, images=OMIT) as built:
        visit = await count(built, ONE)
    assert coder.counted_turns == [[(Text("Look at this."), Text(BLIND))]]
    assert "x-understudy-estimate" not in visit.headers


async def test_the_window_is_measured_with_the_words():
    """The picture's bytes do not count, its description does."""
    coder = text_only(models=(Model("coder", 4096, lacks=("images",)),), count=None)
    large = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}}
    async with house(coder, eyes(), images=SET) as built:
        visit = await ask(built, [user(large)])()
    assert visit.status == 200
    assert coder.counts == 0


# -- nobody else hears of it -----------------------------------------------------------------------------------------


async def test_nothing_of_it_is_in_the_log(capfd, caplog):
    coder, seer = text_only(), eyes([say("A secret cat.")], [errors.EngineRefused("no")])
    async with house(coder, seer, images=SET) as built:
        await ask(built, [user(block(1), document(pdf("Secret words.")))])()
        await ask(built, [user(block(2))])()
    out, err = capfd.readouterr()
    log = out + err + caplog.text
    assert '"POST"' in log or "POST" in log, "the requests are"
    for secret in ("secret", "Secret", b64png(1)[:40], b64png(2)[:40], b64(png(1))[:20], "JVBER"):
        assert secret not in log
