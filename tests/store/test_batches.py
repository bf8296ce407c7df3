"""Batches on the disk: a table of what each step does, and a machine that takes any steps, with crashes between them."""

import shutil
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from understudy.language.batch import Entry
from understudy.language.errors import BadRequest
from understudy.store.batches import BatchFile, Lane, Work
from understudy.store.sqlite import StoreError

DAY = 86400.0


@pytest.fixture
def file(tmp_path):
    one = BatchFile(tmp_path / "batches.db")
    yield one
    one.close()


def entries(*names, model="m"):
    return [Entry(name, model, b'{"ask": "%s"}' % name.encode()) for name in names]


def add(file, name="b1", caller="", *, names="abc", at=0.0, model="m"):
    return file.add(name, caller, entries(*names, model=model), at, at + DAY)


def lane(name="b1", caller="", model="m"):
    return Lane(name, caller, model)


def answer(file, at=1.0, outcome="succeeded", where=None):
    work = file.next(where or lane(), ())
    assert file.finish(work.number, outcome, b'{"said": 1}', at)
    return work


# -- a batch's life -------------------------------------------------------------------------------------------------


def test_a_new_batch(file):
    batch = add(file, at=5.0)
    assert (batch.id, batch.created_at, batch.expires_at, batch.total, batch.done) == (
        "b1",
        5.0,
        5.0 + DAY,
        3,
        0,
    )
    assert (batch.ended_at, batch.cancel_initiated_at, batch.archived_at) == (None, None, None)
    assert file.get("", "b1") == batch
    assert file.get("", "b2") is None
    assert file.waiting() == 3
    assert file.results("b1", 0, 10) == []


def test_all_of_a_batch_or_nothing(file):
    with pytest.raises(Exception, match="UNIQUE"):
        add(file, names="aba")
    assert file.get("", "b1") is None
    assert (file.lanes(99), file.waiting()) == ([], 0)


def test_requests_come_in_their_order_and_not_twice_at_once(file):
    add(file)
    first = file.next(lane(), ())
    second = file.next(lane(), {first.number})
    third = file.next(lane(), {first.number, second.number})
    assert [work.params for work in (first, second, third)] == [b'{"ask": "%c"}' % c for c in b"abc"]
    assert file.next(lane(), {first.number, second.number, third.number}) is None
    assert file.next(lane(), {second.number}) == first  # it was put back
    assert file.next(lane("b9"), ()) is None
    assert file.next(lane(model="n"), ()) is None


def test_a_result_is_written_once(file):
    add(file)
    work = answer(file)
    assert not file.finish(work.number, "errored", b"{}", 2.0)
    assert not file.finish(99, "errored", b"{}", 2.0)
    (result,) = file.results("b1", 0, 10)
    assert (result.custom_id, result.outcome, result.payload) == ("a", "succeeded", b'{"said": 1}')
    batch = file.get("", "b1")
    assert (batch.succeeded, batch.errored, batch.ended_at) == (1, 0, None)
    assert file.waiting() == 2
    assert file.next(lane(), ()).number == work.number + 1


def test_what_was_answered_is_not_kept(file):
    add(file)
    work = answer(file)
    file.close_batch("b1", "canceled", 2.0)
    rows = file._db.execute("SELECT count(*) FROM request WHERE params IS NOT NULL").fetchone()
    assert rows == (0,)
    assert isinstance(work, Work)


def test_the_last_result_ends_the_batch(file):
    add(file)
    for at, outcome in ((1.0, "succeeded"), (2.0, "errored"), (3.0, "succeeded")):
        assert file.get("", "b1").ended_at is None
        answer(file, at, outcome)
    batch = file.get("", "b1")
    assert (batch.ended_at, batch.succeeded, batch.errored, batch.done) == (3.0, 2, 1, 3)
    assert file.lanes(99) == []
    assert file.overdue(10**9) == []


@pytest.mark.parametrize(
    ("canceled", "now", "outcome"),
    [(True, 10.0, "canceled"), (False, DAY, "expired"), (True, DAY, "canceled")],
)
def test_what_waits_is_closed(file, canceled, now, outcome):
    add(file)
    add(file, "b2", names="xy", at=1.0)
    answer(file)
    if canceled:
        assert file.cancel("", "b1", 5.0).cancel_initiated_at == 5.0
    assert file.overdue(now) == [("b1", outcome)]
    assert file.close_batch("b1", outcome, now) == 2
    batch = file.get("", "b1")
    assert (batch.succeeded, batch.canceled + batch.expired, getattr(batch, outcome)) == (1, 2, 2)
    assert batch.ended_at == now
    assert [r.outcome for r in file.results("b1", 0, 10)] == ["succeeded", outcome, outcome]
    assert file.overdue(now) == []
    assert file.close_batch("b1", "expired", now + 1) == 0
    assert file.get("", "b1") == batch
    assert file.waiting() == 2
    assert file.close_batch("gone", "expired", now) == 0


def test_nothing_is_due_before_its_time(file):
    add(file, at=100.0)
    assert file.overdue(100.0 + DAY - 0.001) == []
    assert file.overdue(100.0 + DAY) == [("b1", "expired")]


def test_a_result_after_the_close_changes_nothing(file):
    add(file)
    work = file.next(lane(), ())
    file.close_batch("b1", "canceled", 2.0)
    assert not file.finish(work.number, "succeeded", b"{}", 3.0)
    assert file.get("", "b1").canceled == 3


def test_cancel_notes_the_first_time_and_nothing_after_the_end(file):
    add(file)
    assert file.cancel("", "b1", 5.0).cancel_initiated_at == 5.0
    assert file.cancel("", "b1", 6.0).cancel_initiated_at == 5.0
    file.close_batch("b1", "canceled", 7.0)
    add(file, "b2", names="a")
    answer(file, where=lane("b2"))
    assert file.cancel("", "b2", 8.0).cancel_initiated_at is None
    assert file.cancel("", "b3", 8.0) is None


def test_delete_only_what_has_ended(file):
    add(file)
    assert file.delete("", "b1").ended_at is None
    assert file.get("", "b1") is not None
    file.close_batch("b1", "canceled", 7.0)
    assert file.delete("", "b1").ended_at == 7.0
    assert file.delete("", "b1") is None
    assert file._db.execute("SELECT count(*) FROM request").fetchone() == (0,)


def test_old_results_are_dropped_and_their_batches_stay(file):
    add(file, at=0.0)
    file.close_batch("b1", "canceled", 7.0)
    add(file, "b2", at=0.0)  # still waiting
    add(file, "b3", at=50.0)
    file.close_batch("b3", "canceled", 51.0)
    file.archive(49.0, 100.0)
    assert [file.get("", name).archived_at for name in ("b1", "b2", "b3")] == [100.0, None, None]
    assert [len(file.results(name, 0, 9)) for name in ("b1", "b2", "b3")] == [0, 0, 3]
    assert file.get("", "b1").canceled == 3
    file.archive(49.0, 200.0)
    assert file.get("", "b1").archived_at == 100.0
    assert file.waiting() == 3


def test_the_next_deadline(file):
    assert file.next_deadline(1000.0) is None
    add(file, at=10.0)
    assert file.next_deadline(1000.0) == 10.0 + DAY
    file.close_batch("b1", "canceled", 20.0)
    assert file.next_deadline(1000.0) == 1010.0
    add(file, "b2", at=5.0)
    assert file.next_deadline(10**6) == 5.0 + DAY
    file.archive(10.0, 2000.0)
    file.close_batch("b2", "canceled", 20.0)
    file.archive(10.0, 2000.0)
    assert file.next_deadline(1000.0) is None


def test_room_is_given_back_to_the_disk(file, tmp_path):
    big = [Entry(str(n), "m", bytes(100_000)) for n in range(50)]
    file.add("b1", "", big, 0.0, DAY)
    pages = file._db.execute("PRAGMA page_count").fetchone()[0]
    assert pages > 1000
    file.close_batch("b1", "canceled", 1.0)
    assert file._db.execute("PRAGMA page_count").fetchone()[0] < 50
    file.delete("", "b1")
    assert file._db.execute("PRAGMA freelist_count").fetchone()[0] == 0


# -- lanes ----------------------------------------------------------------------------------------------------------


def test_lanes_are_in_the_order_of_their_first_requests(file):
    mixed = [Entry("a", "z", b"{}"), Entry("b", "y", b"{}"), Entry("c", "z", b"{}")]
    file.add("b2", "k", mixed, 0.0, DAY)
    add(file, "b1", names="a", model="y")
    assert file.lanes(99) == [lane("b2", "k", "z"), lane("b2", "k", "y"), lane("b1", "", "y")]
    assert file.lanes(2) == [lane("b2", "k", "z"), lane("b2", "k", "y")]
    answer(file, where=lane("b2", "k", "z"))
    assert file.lanes(99) == [lane("b2", "k", "y"), lane("b2", "k", "z"), lane("b1", "", "y")]


# -- whose ----------------------------------------------------------------------------------------------------------


def test_another_caller_sees_nothing(file):
    add(file, caller="mine")
    for step in (file.get, file.delete):
        assert step("yours", "b1") is None
        assert step("", "b1") is None
    assert file.cancel("yours", "b1", 1.0) is None
    assert file.get("mine", "b1").cancel_initiated_at is None
    assert file.page("yours", 9, "", "") == ([], False)
    for cursor in ({"after_id": "b1", "before_id": ""}, {"after_id": "", "before_id": "b1"}):
        with pytest.raises(BadRequest, match=r"_id: there is no Message Batch 'b1' here"):
            file.page("yours", 9, **cursor)


PAGES = [  # limit, after, before -> ids, more
    (9, "", "", "edcba", False),
    (5, "", "", "edcba", False),
    (2, "", "", "ed", True),
    (2, "d", "", "cb", True),
    (2, "b", "", "a", False),
    (2, "a", "", "", False),
    (2, "", "a", "cb", True),
    (2, "", "c", "ed", False),
    (2, "", "e", "", False),
    (9, "e", "a", "dcb", False),
]


@pytest.mark.parametrize("row", PAGES)
def test_pages_have_the_newest_first(file, row):
    limit, after, before, expected, more = row
    for name in "abcde":
        add(file, name, "k")
        add(file, f"{name}-other", "o")
    batches, further = file.page("k", limit, after, before)
    assert ("".join(batch.id for batch in batches), further) == (expected, more)


def test_an_order_that_survives_deletion(file):
    for name in "abc":
        add(file, name)
        file.close_batch(name, "canceled", 1.0)
    file.delete("", "c")
    add(file, "d")
    assert [batch.id for batch in file.page("", 9, "", "")[0]] == ["d", "b", "a"]


def test_results_page_by_page(file):
    add(file, names=[str(n) for n in range(7)])
    add(file, "b2", names="xyz")
    file.close_batch("b1", "canceled", 1.0)
    file.close_batch("b2", "canceled", 1.0)
    seen, last = [], 0
    while rows := file.results("b1", last, 3):
        seen += [row.custom_id for row in rows]
        last = rows[-1].number
    assert seen == [str(n) for n in range(7)]


# -- the file -------------------------------------------------------------------------------------------------------


def test_a_damaged_file_is_told_of(tmp_path):
    (tmp_path / "batches.db").write_bytes(b"x" * 4096)
    with pytest.raises(StoreError, match="is no database"):
        BatchFile(tmp_path / "batches.db")


OUTCOMES = st.sampled_from(["succeeded", "errored"])
NAMES = st.sampled_from(["b0", "b1", "b2", "b3"])
CALLERS = st.sampled_from(["", "k"])


class Life(RuleBasedStateMachine):
    """Any steps, against a model in memory; what was committed is there after every crash."""

    folder = None

    def __init__(self):
        super().__init__()
        self.files = 0
        self.now = 0.0
        self.batches = {}
        self.path = self.folder / f"{id(self)}-0.db"
        self.file = BatchFile(self.path)

    def teardown(self):
        self.file.close()

    @rule(name=NAMES, caller=CALLERS, models=st.lists(st.sampled_from("xy"), min_size=1, max_size=4))
    def add(self, name, caller, models):
        if name in self.batches:
            return
        rows = [Entry(str(n), model, b"%d" % n) for n, model in enumerate(models)]
        self.file.add(name, caller, rows, self.now, self.now + 10)
        self.batches[name] = SimpleNamespace(
            caller=caller, at=self.now, cancel=None, ended=None, archived=None, models=models, results={}
        )

    @rule(name=NAMES, model=st.sampled_from("xy"), outcome=OUTCOMES, again=st.booleans())
    def answer(self, name, model, outcome, again):
        caller = self.batches[name].caller if name in self.batches else ""
        work = self.file.next(Lane(name, caller, model), ())
        batch = self.batches.get(name)
        waits = (
            []
            if batch is None or batch.archived
            else [n for n, m in enumerate(batch.models) if m == model and n not in batch.results]
        )
        assert (None if work is None else int(work.params)) == min(waits, default=None)
        if work is None:
            return
        assert self.file.finish(work.number, outcome, b"said", self.now)
        batch.results[min(waits)] = outcome
        self.end(batch)
        assert not (again and self.file.finish(work.number, "errored", b"other", self.now))

    @rule(name=NAMES, caller=CALLERS)
    def cancel(self, name, caller):
        found = self.file.cancel(caller, name, self.now)
        batch = self.batches.get(name)
        assert (found is None) == (batch is None or batch.caller != caller)
        if found is not None and batch.ended is None and batch.cancel is None:
            batch.cancel = self.now

    @rule(name=NAMES, caller=CALLERS)
    def delete(self, name, caller):
        found = self.file.delete(caller, name)
        batch = self.batches.get(name)
        assert (found is None) == (batch is None or batch.caller != caller)
        if found is not None and batch.ended is not None:
            del self.batches[name]

    @rule()
    def close_overdue(self):
        due = {
            name: "expired" if batch.cancel is None else "canceled"
            for name, batch in self.batches.items()
            if batch.ended is None and (batch.cancel is not None or batch.at + 10 <= self.now)
        }
        assert dict(self.file.overdue(self.now)) == due
        for name, outcome in due.items():
            batch = self.batches[name]
            left = [n for n in range(len(batch.models)) if n not in batch.results]
            assert self.file.close_batch(name, outcome, self.now) == len(left)
            batch.results |= dict.fromkeys(left, outcome)
            self.end(batch)

    @rule()
    def archive(self):
        self.file.archive(self.now - 20, self.now)
        for batch in self.batches.values():
            if batch.ended is not None and batch.archived is None and batch.at <= self.now - 20:
                batch.archived = self.now

    @rule(seconds=st.sampled_from([1.0, 7.0, 30.0]))
    def later(self, seconds):
        self.now += seconds

    @rule()
    def stop(self):
        self.file.close()
        self.file = BatchFile(self.path)

    @rule()
    def crash(self):
        """What a killed process leaves: the file and its log, as they are now."""
        self.files += 1
        left = self.folder / f"{id(self)}-{self.files}.db"
        for suffix in ("", "-wal"):
            if (source := self.path.with_name(self.path.name + suffix)).exists():
                shutil.copy(source, left.with_name(left.name + suffix))
        self.file.close()
        self.path, self.file = left, BatchFile(left)

    def end(self, batch):
        if len(batch.results) == len(batch.models) and batch.ended is None:
            batch.ended = self.now

    @invariant()
    def all_is_as_it_should_be(self):
        for name, batch in self.batches.items():
            found = self.file.get(batch.caller, name)
            assert (found.created_at, found.cancel_initiated_at) == (batch.at, batch.cancel)
            assert (found.ended_at, found.archived_at) == (batch.ended, batch.archived)
            assert (found.total, found.done) == (len(batch.models), len(batch.results))
            for outcome in ("succeeded", "errored", "canceled", "expired"):
                assert getattr(found, outcome) == list(batch.results.values()).count(outcome)
            rows = {int(row.custom_id): row.outcome for row in self.file.results(name, 0, 99)}
            assert rows == ({} if batch.archived else batch.results)
        assert {b.id for caller in ("", "k") for b in self.file.page(caller, 99, "", "")[0]} == set(
            self.batches
        )
        waiting = [
            (name, model)
            for name, batch in self.batches.items()
            for n, model in enumerate(batch.models)
            if n not in batch.results
        ]
        assert self.file.waiting() == len(waiting)
        assert {(row.batch, row.model) for row in self.file.lanes(99)} == set(waiting)


def test_any_life(tmp_path):
    Life.folder = tmp_path
    Life.TestCase.settings = settings(
        max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    Life.TestCase("runTest").runTest()
