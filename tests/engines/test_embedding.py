"""Which model is embedded: named, found, fetched, or the rehearsal; and how large its window may be."""

import contextlib

import pytest
from fakehub import FakeHub, running

from understudy.config import Embedded, Secrets
from understudy.engines import catalog, embedding
from understudy.engines.download import HubError
from understudy.engines.embedding import COMFORTABLE_CONTEXT, REHEARSAL, choose, free_memory, rehearsal
from understudy.engines.ggufinfo import BadModel, pick_context, sniff_gguf
from understudy.engines.tinygguf import write_scripted
from understudy.language.errors import BadRequest, UnderstudyError

GB = 10**9
NOBODY = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture(autouse=True)
def fresh_client():
    """The hub's library keeps one client for all threads: close it, so that no test leaves a socket open."""
    yield
    from huggingface_hub import close_session  # noqa: PLC0415

    close_session()


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "Tiny-Q4_K_M.gguf"
    write_scripted(path, ["Hello."])
    return path.read_bytes()


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """Free memory, as the tests want it."""
    free = [8 * GB]
    monkeypatch.setattr(embedding, "free_memory", lambda: free[0])
    return free


def chosen(tmp_path, wanted=None, hub=NOBODY):
    told = []
    found = choose(
        wanted or Embedded(hub=False), Secrets(hub_endpoint=hub), tmp_path, told.append, lambda a, b: None
    )
    return found, told


def test_a_named_file(tmp_path, gguf):
    path = tmp_path / "Named.gguf"
    path.write_bytes(gguf)
    found, told = chosen(tmp_path / "models", Embedded(model=str(path)))
    assert found.settings.model == str(path)
    assert found.model.id == "named" == found.settings.alias
    assert found.model.template
    assert found.model.size == len(gguf)
    assert "was named" in found.why
    assert not found.rehearsal
    assert found.settings.raw_text
    assert not told


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"<html>", "not a GGUF"), (b"GGUF\x03\x00\x00\x00", "cut off"), (None, "no-such")],
    ids=["html", "cut", "missing"],
)
def test_a_named_file_that_cannot_be_used_is_an_error(tmp_path, content, complaint):
    path = tmp_path / "no-such.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnderstudyError, match=complaint):
        chosen(tmp_path / "models", Embedded(model=str(path)))


def test_a_name_that_is_none_is_an_error(tmp_path):
    with pytest.raises(BadRequest, match="is no model"):
        chosen(tmp_path, Embedded(model="what is this"))


def test_a_model_on_disk_is_taken(tmp_path, gguf):
    (tmp_path / "owner" / "repo").mkdir(parents=True)
    (tmp_path / "owner" / "repo" / "Coder-Q4_K_M.gguf").write_bytes(gguf)
    found, told = chosen(tmp_path, Embedded(hub=True))
    assert found.model.id == "coder-q4_k_m"
    assert "already" in found.why
    assert not told


def test_a_bad_file_on_disk_is_passed_over(tmp_path, gguf):
    import os  # noqa: PLC0415

    (tmp_path / "Bad-Q4_K_M.gguf").write_bytes(gguf[:3000])
    (tmp_path / "Good-Q4_K_M.gguf").write_bytes(gguf)
    os.utime(tmp_path / "Good-Q4_K_M.gguf", (1, 1))  # the bad one is newer, so it is tried first
    found, told = chosen(tmp_path)
    assert found.model.id == "good-q4_k_m"
    assert len(told) == 1
    assert told[0].startswith("passing over Bad-Q4_K_M.gguf: ")


def test_only_bad_files_give_the_rehearsal(tmp_path):
    (tmp_path / "Bad-Q4_K_M.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    found, told = chosen(tmp_path)
    assert found.rehearsal
    assert told


@pytest.mark.parametrize("again", [False, True])
def test_the_rehearsal_model_stays_one(tmp_path, again):
    """A rehearsal of yesterday lies where models are kept: it must not be taken for a model that was fetched."""
    if again:
        rehearsal(Embedded(), tmp_path)
    found, _ = chosen(tmp_path)
    assert found.rehearsal
    assert found.model.id == REHEARSAL
    assert found.model.context
    assert found.settings.model.endswith("rehearsal.gguf")


def test_a_model_beside_the_rehearsal_is_preferred(tmp_path, gguf):
    import os  # noqa: PLC0415

    rehearsal(Embedded(), tmp_path)
    (tmp_path / "Good-Q4_K_M.gguf").write_bytes(gguf)
    os.utime(tmp_path / "Good-Q4_K_M.gguf", (1, 1))
    found, _ = chosen(tmp_path)
    assert found.model.id == "good-q4_k_m"
    assert not found.rehearsal


def test_the_best_that_fits_is_fetched(tmp_path, gguf, memory):
    row = catalog.best_fit(memory[0])
    with running(FakeHub({row.repo: {row.file: gguf}})) as hub:
        found, told = chosen(tmp_path, Embedded(hub=True), hub.url)
    assert found.model.id == row.file.removesuffix(".gguf").lower()
    assert not found.rehearsal
    assert row.name in told[0]
    assert row.sentence in told[0]
    assert "fits 8.0 GB" in found.why


def test_a_named_model_is_fetched(tmp_path, gguf):
    with running(FakeHub({"owner/Some-GGUF": {"Some-Q8_0.gguf": gguf}})) as hub:
        found, _ = chosen(tmp_path, Embedded(model="owner/Some-GGUF:Q8_0"), hub.url)
    assert found.model.id == "some-q8_0"


def test_a_named_model_that_cannot_be_fetched_is_an_error(tmp_path):
    with pytest.raises(HubError):
        chosen(tmp_path, Embedded(model="owner/Some-GGUF:Q8_0"))


def test_without_a_hub_there_is_the_rehearsal(tmp_path):
    found, told = chosen(tmp_path, Embedded(hub=True))
    assert found.rehearsal
    assert len(told) == 2
    assert "fetching" in told[0]


def test_a_hub_that_sends_rubbish_does_not_stop_the_start(tmp_path, memory):
    row = catalog.best_fit(memory[0])
    with running(FakeHub({row.repo: {row.file: b"GGUF" + b"\0" * 5000}})) as hub:
        found, told = chosen(tmp_path, Embedded(hub=True), hub.url)
    assert found.rehearsal
    assert len(told) == 2


def test_no_memory_for_any_model_fetches_none(tmp_path, memory):
    memory[0] = GB
    found, told = chosen(tmp_path, Embedded(hub=True))
    assert found.rehearsal
    assert not told


def test_the_window_is_comfortable_not_greedy(tmp_path, gguf, memory):
    (tmp_path / "A-Q4_K_M.gguf").write_bytes(gguf)
    memory[0] = 1000 * GB
    found, _ = chosen(tmp_path)
    assert found.settings.context == found.model.context == COMFORTABLE_CONTEXT


def test_the_window_fits_the_memory(tmp_path, gguf, memory):
    path = tmp_path / "A-Q4_K_M.gguf"
    path.write_bytes(gguf)
    facts = sniff_gguf(path)
    for free in range(10**8, 10**9, 10**7):
        with contextlib.suppress(BadModel):
            if pick_context(facts, free, slots=3) < COMFORTABLE_CONTEXT:
                break
    memory[0] = free
    found, _ = chosen(tmp_path, Embedded(hub=False, slots=3))
    assert found.settings.context == pick_context(facts, free, slots=3) < COMFORTABLE_CONTEXT
    assert found.settings.slots == 3
    assert found.settings.context * 3 * facts.kv_bytes < free


def test_a_window_in_the_settings_is_taken(tmp_path, gguf):
    (tmp_path / "A-Q4_K_M.gguf").write_bytes(gguf)
    found, _ = chosen(tmp_path, Embedded(hub=False, context=12345, threads=3, batch=64, mmproj="eyes.gguf"))
    assert found.settings.context == found.model.context == 12345
    assert (found.settings.threads, found.settings.batch, found.settings.mmproj) == (3, 64, "eyes.gguf")


def test_the_rehearsal_starts_even_where_memory_is_short(tmp_path, memory):
    memory[0] = 0
    found, _ = chosen(tmp_path)
    assert found.rehearsal


def test_kept_conversations_take_a_quarter_of_memory_at_most(tmp_path, gguf):
    (tmp_path / "A-Q4_K_M.gguf").write_bytes(gguf)
    small, _ = chosen(tmp_path, Embedded(hub=False, cache_ram="100MB"))
    large, _ = chosen(tmp_path, Embedded(hub=False, cache_ram="4000GB"))
    assert small.settings.cache_ram_mib == 100
    import psutil  # noqa: PLC0415

    assert large.settings.cache_ram_mib <= psutil.virtual_memory().total // 4 // 1024**2


def test_free_memory_leaves_some_to_others(monkeypatch):
    import psutil  # noqa: PLC0415

    monkeypatch.undo()
    assert 0 < free_memory() < psutil.virtual_memory().total
