"""Batches as the API writes them; the official SDK reads every answer."""

import json

import msgspec
import pytest
from anthropic.pagination import SyncPage
from anthropic.types.messages import DeletedMessageBatch, MessageBatch, MessageBatchIndividualResponse
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects import anthropic_batches as module
from understudy.dialects import batch_dialect
from understudy.language.batch import Batch, Entry, Result
from understudy.language.errors import BadRequest

ANTHROPIC = batch_dialect("anthropic")
PARAMS = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "你好"}]}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "a"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


def body(*requests):
    return msgspec.json.encode({"requests": list(requests)})


def asked(custom_id="a", params=PARAMS):
    return {"custom_id": custom_id, "params": params}


# -- what comes -----------------------------------------------------------------------------------------------------


def test_requests_keep_their_bytes():
    raw = b'{"requests": [{"params": {"model":"m" , "x": "\\u00e4"},"custom_id":"A-z_09"}], "more": 1}'
    assert ANTHROPIC.parse(raw) == [Entry("A-z_09", "m", b'{"model":"m" , "x": "\\u00e4"}')]


@pytest.mark.parametrize("params", [{}, {"model": 7}, {"model": None}, {"messages": 5}], ids=str)
def test_what_is_wrong_with_one_request_is_not_the_batchs(params):
    (entry,) = ANTHROPIC.parse(body(asked(params=params)))
    assert entry.model == ""
    assert json.loads(entry.params) == params


WRONG = {
    "no json": (b"{", "The request body is not valid JSON"),
    "not utf-8": (b'{"requests": [{"custom_id": "a", "params": {"model": "\xff"}}]}', "not valid JSON"),
    "no object": (b"[]", "body: Expected object, got array"),
    "no requests": (b"{}", "requests: Field required"),
    "requests are no list": (b'{"requests": {}}', "requests: Expected array, got object"),
    "none": (body(), "requests: at least one request is required"),
    "no custom_id": (body(asked(), {"params": PARAMS}), "requests.1.custom_id: Field required"),
    "a number": (body(asked(7)), "requests.0.custom_id: Expected str, got int"),
    "no params": (body({"custom_id": "a"}), "requests.0.params: Field required"),
    "params are a list": (body(asked("a"), asked("b", [])), "requests.1.params: Expected object"),
    "params are text": (body(asked("a", "{}")), "requests.0.params: Expected object"),
    "empty": (body(asked("")), "requests.0.custom_id: it has to be 1 to 64"),
    "too long": (body(asked("a" * 65)), "requests.0.custom_id: it has to be 1 to 64"),
    "a space": (body(asked("a b")), "requests.0.custom_id: it has to be 1 to 64"),
    "a line's end": (body(asked("a\n")), "requests.0.custom_id: it has to be 1 to 64"),
    "another script": (body(asked("ä")), "requests.0.custom_id: it has to be 1 to 64"),
    "twice": (body(asked("a"), asked("b"), asked("a")), "requests.2.custom_id: 'a' names an earlier request"),
}


@pytest.mark.parametrize(("raw", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_the_batch_is_named(raw, words):
    with pytest.raises(BadRequest) as raised:
        ANTHROPIC.parse(raw)
    assert words in raised.value.message
    assert len(raised.value.message) < 300


def test_the_longest_custom_id():
    assert ANTHROPIC.parse(body(asked("a" * 64)))[0].custom_id == "a" * 64


def test_as_many_as_the_api_takes(monkeypatch):
    assert module.MOST_REQUESTS == 100_000
    monkeypatch.setattr(module, "MOST_REQUESTS", 3)
    three = [asked(str(n)) for n in range(3)]
    assert len(ANTHROPIC.parse(body(*three))) == 3
    with pytest.raises(BadRequest, match="requests: 4 requests; at most 3 make a batch"):
        ANTHROPIC.parse(body(*three, asked("3")))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"more": ' + b"[" * 100_000,
        b'{"requests": [{"custom_id": "a", "params": {"model": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}]}",
    ],
    ids=["outside", "inside"],
)
def test_depth(raw):
    with pytest.raises(BadRequest, match="nested too deeply"):
        ANTHROPIC.parse(raw)


@pytest.mark.parametrize("depth", range(1, 400, 7))
def test_what_is_read_at_all_is_read_to_its_model(depth):
    raw = b'{"requests": [{"custom_id": "a", "params": {"model": ' + b"[" * depth + b"]" * depth + b"}}]}"
    (entry,) = ANTHROPIC.parse(raw)
    assert entry.model == ""


WORDS = st.text("ab_ ä\n", max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
NEARLY = st.fixed_dictionaries({}, optional={"custom_id": WORDS | JSON, "params": st.just(PARAMS) | JSON})


@given(st.binary() | st.builds(lambda rows: msgspec.json.encode({"requests": rows}), st.lists(NEARLY)))
def test_anything_is_read_or_refused(raw):
    try:
        entries = ANTHROPIC.parse(raw)
    except BadRequest:
        return
    assert len({entry.custom_id for entry in entries}) == len(entries) > 0
    sent = json.loads(raw)["requests"]
    assert [json.loads(entry.params) for entry in entries] == [row["params"] for row in sent]


# -- what is answered -----------------------------------------------------------------------------------------------

NEW = Batch("msgbatch_1", 1_700_000_000.25, 1_700_086_400.25, None, None, None, 10)
CANCELING = msgspec.structs.replace(NEW, cancel_initiated_at=1_700_000_100.0, succeeded=2)
ENDED = msgspec.structs.replace(CANCELING, ended_at=1_700_000_200.0, errored=1, canceled=7)
ARCHIVED = msgspec.structs.replace(ENDED, archived_at=1_702_505_600.0)
URL = "http://127.0.0.1:8000/v1/messages/batches/msgbatch_1/results"
NOTHING = {"processing": 10, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
ALL = {"processing": 0, "succeeded": 2, "errored": 1, "canceled": 7, "expired": 0}
SHOWN = [
    (NEW, "in_progress", NOTHING, None),
    (CANCELING, "canceling", NOTHING, None),
    (ENDED, "ended", ALL, URL),
    (ARCHIVED, "ended", ALL, None),
]


@pytest.mark.parametrize(
    ("batch", "status", "counts", "url"), SHOWN, ids=["new", "canceling", "ended", "archived"]
)
def test_a_batch(batch, status, counts, url):
    raw = ANTHROPIC.batch(batch, URL)
    shown = json.loads(raw)
    assert shown["type"] == "message_batch"
    assert shown["created_at"] == "2023-11-14T22:13:20.250000Z"
    assert shown["expires_at"] == "2023-11-15T22:13:20.250000Z"
    assert (shown["processing_status"], shown["request_counts"], shown["results_url"]) == (
        status,
        counts,
        url,
    )
    read = MessageBatch.model_validate_json(raw, strict=True)
    assert set(shown) == set(MessageBatch.model_fields)
    for field in ("created_at", "expires_at", "cancel_initiated_at", "ended_at", "archived_at"):
        told, seconds = getattr(read, field), getattr(batch, field)
        assert (told.timestamp() if told else None) == seconds


def test_pages():
    page = SyncPage[MessageBatch].model_validate_json(ANTHROPIC.page([ENDED, NEW], [URL, "x"], more=True))
    assert [(row.id, row.results_url) for row in page.data] == [(ENDED.id, URL), (NEW.id, None)]
    assert (page.has_more, page.first_id, page.last_id) == (True, ENDED.id, NEW.id)
    empty = json.loads(ANTHROPIC.page([], [], more=False))
    assert empty == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_deleted():
    read = DeletedMessageBatch.model_validate_json(ANTHROPIC.deleted("msgbatch_1"), strict=True)
    assert (read.id, read.type) == ("msgbatch_1", "message_batch_deleted")


ERROR = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}, "request_id": "req_1"}
RESULTS = [
    ("succeeded", MESSAGE, {"type": "succeeded", "message": MESSAGE}),
    ("errored", ERROR, {"type": "errored", "error": ERROR}),
    ("canceled", None, {"type": "canceled"}),
    ("expired", None, {"type": "expired"}),
]


@pytest.mark.parametrize(("outcome", "payload", "expected"), RESULTS, ids=[row[0] for row in RESULTS])
def test_results(outcome, payload, expected):
    line = ANTHROPIC.result(Result(1, "a", outcome, payload and json.dumps(payload).encode()))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"custom_id": "a", "result": expected}
    read = MessageBatchIndividualResponse.model_validate_json(line)
    assert read.result.type == outcome
    if outcome == "succeeded":
        assert read.result.message.content[0].text == "a"
    if outcome == "errored":
        assert read.result.error.error.message == "no"
