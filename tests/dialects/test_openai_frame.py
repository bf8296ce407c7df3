import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.openai_frame import Frame
from understudy.dialects.openai_wire import Chunk

HEAD = b'{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"'
TAIL = b'"},"logprobs":null,"finish_reason":null}]}'


def chunk(record):
    return msgspec.json.decode(record, type=Chunk)


def learnt(record=HEAD + b"Hi" + TAIL):
    frame = Frame()
    frame.learn(record, chunk(record))
    return frame


@pytest.mark.parametrize(
    ("between", "text"),
    [
        (b"lo", "lo"),
        (b' \\n\\"quoted\\" \\u00e9 \\\\', ' \n"quoted" \u00e9 \\'),
        ("你好".encode(), "你好"),
        (b'","role":"assistant', ""),
        (b'x","tool_calls":[{"index":0}],"a":"', ""),
        (b"broken \\", ""),
        (b"\n", ""),
        (b"\xff", ""),
    ],
)
def test_a_record_framed_alike_says_its_text(between, text):
    assert learnt().text(HEAD + between + TAIL) == text
    event = b"data: " + HEAD + between + TAIL + b"\n\n"
    assert learnt().event_text(event) == text
    assert learnt().event_text(event + event) == "", "two events are not one"


@pytest.mark.parametrize(
    "record",
    [
        HEAD.replace(b"c1", b"c2") + b"lo" + TAIL,
        HEAD + b"lo" + TAIL.replace(b"null}", b'"stop"}'),
        HEAD + b"lo" + TAIL[:-1],
        b"[DONE]",
        b"",
        HEAD[:-1] + TAIL,
    ],
)
def test_a_record_framed_otherwise_is_read_as_a_whole(record):
    assert learnt().text(record) == ""
    assert learnt().event_text(b"data: " + record + b"\n\n") == ""


@pytest.mark.parametrize(
    "record",
    [
        HEAD + b"Hi" + TAIL.replace(b'"},', b'","tool_calls":[{"index":0,"function":{"name":"f"}}]},'),
        HEAD + b"Hi" + TAIL.replace(b'"},', b'","reasoning_content":"hm"},'),
        HEAD + b"Hi" + TAIL.replace(b"null}", b'"stop"}'),
        HEAD + b"Hi" + TAIL[:-1] + b',"usage":{"prompt_tokens":3}}',
        HEAD + b"Hi" + TAIL[:-1] + b',"timings":{"cache_n":3}}',
        HEAD + b"Hi" + TAIL[:-1] + b',"error":{"message":"no"}}',
        HEAD.replace(b'"index":0', b'"index":1') + b"Hi" + TAIL,
        HEAD + TAIL,
        b'{"content":"outside","choices":[{"index":0,"delta":{"content":"Hi"}}]}',
        b'{"choices":[]}',
        b'{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}',
    ],
)
def test_a_record_that_says_more_than_text_is_no_frame(record):
    assert learnt(record).text(record) == ""
    assert learnt(record).event_text(b"data: " + record + b"\n\n") == ""


def test_an_engine_that_numbers_its_records_is_not_learnt_for_ever():
    frame = Frame()
    for number in range(100):
        record = HEAD.replace(b"c1", b"n%d" % number) + b"Hi" + TAIL
        assert frame.text(record) == ""
        frame.learn(record, chunk(record))
    assert frame.text(HEAD.replace(b"c1", b"n99") + b"Hi" + TAIL) == ""


def test_a_second_that_passes_costs_one_record():
    frame = learnt()
    for second in range(50):
        head = HEAD.replace(b'"created":1', b'"created":%d' % (second + 2))
        first = head + b"a" + TAIL
        assert frame.text(first) == ""
        frame.learn(first, chunk(first))
        for _ in range(5):
            assert frame.text(head + b"b" + TAIL) == "b"


def test_before_anything_is_learnt_nothing_is_framed():
    for record in (HEAD + b"a" + TAIL, b"", b"?", b'?"a"', b'"a"'):
        assert Frame().text(record) == Frame().event_text(record) == ""


@given(st.binary(max_size=40))
def test_the_frame_never_reads_what_the_whole_record_does_not_say(between):
    record = HEAD + between + TAIL
    text = learnt().text(record)
    assert learnt().event_text(b"data: " + record + b"\n\n") == text
    if text:
        found = chunk(record)
        assert found.choices[0].delta.content == text
        assert found == Chunk(found.choices, model="m", object="chat.completion.chunk")
