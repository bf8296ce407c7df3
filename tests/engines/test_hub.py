import os
import socket
import threading
import time
from pathlib import Path

import pytest
from fakehub import COMMIT, FakeHub, running

from understudy.engines import catalog
from understudy.engines import hub as module
from understudy.engines.download import HubCorrupt, HubDenied, HubDisk, HubError, HubNotFound, HubUnreachable
from understudy.engines.hub import (
    HubFile,
    HubModel,
    LocalModel,
    Resolved,
    fetch,
    find_on_disk,
    models_on_disk,
    obtain,
    parse_model_spec,
    quant_of,
    resolve,
)
from understudy.language.errors import BadRequest

REPO = "owner/Coder-7B-GGUF"
Q4 = b"GGUF" + b"4" * 300_000
Q8 = b"GGUF" + b"8" * 600_000
PARTS = {f"BF16/Coder-BF16-0000{n}-of-00003.gguf": b"GGUF" + bytes([n]) * 1000 * n for n in (1, 2, 3)}
FILES = {
    "README.md": b"hello",
    "Coder-7B-Q4_K_M.gguf": Q4,
    "Coder-7B-Q8_0.gguf": Q8,
    "mmproj-F16.gguf": b"GGUFpictures",
    "imatrix_coder.gguf": b"GGUFstatistics",
    "../../escape-Q4_K_M.gguf": b"GGUFevil",
} | PARTS


@pytest.fixture
def hub():
    with running(FakeHub({REPO: dict(FILES)})) as hub:
        yield hub


@pytest.fixture(autouse=True)
def fresh_client():
    """The hub's library keeps one client for all threads: close it, so that no test leaves a socket open."""
    yield
    from huggingface_hub import close_session  # noqa: PLC0415

    close_session()


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("/models/a.gguf", LocalModel(Path("/models/a.gguf"))),
        ("./a", LocalModel(Path("a"))),
        ("models/a.GGUF", LocalModel(Path("models/a.GGUF"))),
        ("~/a.gguf", LocalModel(Path("~/a.gguf").expanduser())),
        ("owner/name", HubModel("owner/name")),
        (" owner/name:Q8_0 ", HubModel("owner/name", "Q8_0")),
        ("owner/name:file-Q8_0.gguf", HubModel("owner/name", "file-Q8_0.gguf")),
        ("hf.co/owner/name:q4_k_m", HubModel("owner/name", "q4_k_m")),
        ("https://huggingface.co/owner/name", HubModel("owner/name")),
        ("qwen3-4b", HubModel("unsloth/Qwen3-4B-Instruct-2507-GGUF", "Q4_K_M")),
    ],
)
def test_parse_model_spec(text, spec):
    assert parse_model_spec(text) == spec


@pytest.mark.parametrize("text", ["", "qwen3-coder", "a/b/c", "owner/name:", "owner/name:a/b", "öwner/name"])
def test_parse_says_what_is_wanted(text):
    with pytest.raises(BadRequest, match=r"owner/name:quant, or one of .*qwen"):
        parse_model_spec(text)


def test_parse_names_the_nearest():
    with pytest.raises(BadRequest, match="one of qwen3-coder-30b"):
        parse_model_spec("qwen3-coder-30")


@pytest.mark.parametrize(
    ("name", "quant"),
    [
        ("Coder-7B-Q4_K_M.gguf", "Q4_K_M"),
        ("dir/coder-7b-instruct-q5_0.gguf", "Q5_0"),
        ("M-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("M.IQ4_XS.gguf", "IQ4_XS"),
        ("M-BF16-00001-of-00002.gguf", "BF16"),
        ("M-MXFP4_MOE.gguf", "MXFP4_MOE"),
        ("tiny.gguf", "tiny"),
    ],
)
def test_quant_of(name, quant):
    assert quant_of(name) == quant


@pytest.mark.parametrize(
    ("has", "quant", "chosen"),
    [
        (["M-Q8_0", "M-Q4_K_M", "M-Q2_K"], None, "M-Q4_K_M"),
        (["M-Q8_0", "M-UD-Q4_K_M"], None, "M-UD-Q4_K_M"),
        (["M-F16", "M-Q8_0", "M-Q2_K"], None, "M-Q8_0"),
        (["M-Q5_K_M", "M-Q4_K_S"], None, "M-Q4_K_S"),
        (["tiny"], None, "tiny"),
        (["M-Q4_K_M", "M-draft-Q4_K_M"], None, "M-Q4_K_M"),
        (["M-UD-Q4_K_M", "M-Q4_K_M"], "q4_k_m", "M-Q4_K_M"),
        (["M-UD-Q4_K_M", "M-Q8_0"], "Q4_K_M", "M-UD-Q4_K_M"),
        (["M-Q4_K_M", "M-draft-Q4_K_M"], "m-draft-q4_k_m.gguf", "M-draft-Q4_K_M"),
    ],
)
def test_choice_of_the_quant(hub, has, quant, chosen):
    hub.repos["a/b"] = {f"{name}.gguf": b"GGUF" for name in has}
    assert [f.path for f in resolve(HubModel("a/b", quant), endpoint=hub.url).files] == [f"{chosen}.gguf"]


def test_resolve_knows_size_checksum_and_commit(hub):
    resolved = resolve(HubModel(REPO), endpoint=hub.url + "/", token="hf_x")
    assert (resolved.repo, resolved.revision, resolved.quant) == (REPO, COMMIT, "Q4_K_M")
    assert resolved.files[0].size == resolved.bytes == len(Q4)
    assert len(resolved.files[0].sha256) == 64
    assert resolved.mmproj is None
    assert [(m, p.split("?")[0]) for m, p, _ in hub.seen] == [
        ("GET", f"/api/models/{REPO}")
    ]  # and no telemetry
    assert hub.seen[0][2]["authorization"] == "Bearer hf_x"


def test_no_token_means_none_at_all(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    resolve(HubModel(REPO), endpoint=hub.url)
    assert "authorization" not in hub.seen[0][2]


def test_nobody_is_told_who_asks(hub, monkeypatch):
    from huggingface_hub import constants  # noqa: PLC0415

    asked = []
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr("huggingface_hub.utils._headers.detect_agent", lambda: asked.append(1))
    resolve(HubModel(REPO), endpoint=hub.url)
    assert asked == []


def test_split_model_in_order(hub, tmp_path):
    resolved = resolve(HubModel(REPO, "bf16"), endpoint=hub.url)
    assert [f.path for f in resolved.files] == sorted(PARTS)
    steps = []
    path = fetch(
        resolved, tmp_path, endpoint=hub.url, on_progress=lambda done, total: steps.append((done, total))
    )
    assert path == tmp_path / REPO / "BF16/Coder-BF16-00001-of-00003.gguf"
    total = sum(map(len, PARTS.values()))
    assert steps[-1] == (total, total)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert {p.name: p.read_bytes() for p in path.parent.iterdir()} == {
        Path(k).name: v for k, v in PARTS.items()
    }


def test_split_model_with_a_part_missing(hub):
    del hub.repos[REPO]["BF16/Coder-BF16-00002-of-00003.gguf"]
    with pytest.raises(HubNotFound, match=r"has no BF16.*It has: Q4_K_M \(0\.3 MB\), Q8_0"):
        resolve(HubModel(REPO, "BF16"), endpoint=hub.url)


def test_mmproj_only_when_asked_for(hub, tmp_path):
    resolved = resolve(HubModel(REPO), endpoint=hub.url, mmproj=True)
    path = fetch(resolved, tmp_path, endpoint=hub.url)
    assert sorted(p.name for p in path.parent.iterdir()) == ["Coder-7B-Q4_K_M.gguf", "mmproj-F16.gguf"]
    assert [m.path for m in models_on_disk(tmp_path)] == [path]


def test_unknown_quant_names_the_nearest(hub):
    with pytest.raises(
        HubNotFound, match=rf"{REPO} has no Q4_K_S\. Nearest: {REPO}:Q4_K_M\. It has: BF16 \("
    ):
        resolve(HubModel(REPO, "Q4_K_S"), endpoint=hub.url)


def test_repository_without_a_gguf(hub):
    hub.repos["a/safetensors"] = {"model.safetensors": b"x"}
    with pytest.raises(HubNotFound, match="no complete GGUF model"):
        resolve(HubModel("a/safetensors"), endpoint=hub.url)


@pytest.mark.parametrize(
    ("repo", "words"),
    [
        ("owner/Coder-8B-GGUF", "Did you mean owner/Coder-7B-GGUF"),
        ("unsloth/Qwen3-Coder-31B-A3B-Instruct-GGUF", "unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF"),
        ("zz/99", "Search the hub"),
    ],
)
def test_unknown_repository(hub, repo, words):
    with pytest.raises(HubNotFound, match=rf"no such repository.*HF_TOKEN.*{words}"):
        resolve(HubModel(repo), endpoint=hub.url)


def test_unknown_repository_when_the_search_fails_too(hub):
    hub.deny["/api/models"] = (403, "")
    with pytest.raises(HubNotFound, match=r"Did you mean unsloth/Qwen3\.5-9B-GGUF"):
        resolve(HubModel("unsloth/Qwen3.5-8B-GGUF"), endpoint=hub.url)


@pytest.mark.parametrize(
    ("case", "token", "error", "words"),
    [
        ((401, ""), None, HubNotFound, "private"),
        ((401, ""), "hf_bad", HubDenied, "does not accept this HF_TOKEN"),
        ((401, "GatedRepo"), None, HubDenied, "accept its licence.*HF_TOKEN"),
        ((403, "GatedRepo"), "hf_x", HubDenied, "accept its licence"),
        ((403, ""), "hf_x", HubDenied, "HF_TOKEN"),
        ((404, "RevisionNotFound"), None, HubNotFound, "no such file or version"),
        ((500, ""), None, HubUnreachable, "status 500"),
        ((429, ""), None, HubUnreachable, "status 429"),
    ],
)
def test_the_hub_refuses_the_list(hub, case, token, error, words):
    hub.deny[REPO] = case
    with pytest.raises(error, match=words):
        resolve(HubModel(REPO), endpoint=hub.url, token=token)


@pytest.mark.parametrize(
    ("case", "error", "words"),
    [
        ((401, "GatedRepo"), HubDenied, "gated"),
        ((403, "GatedRepo"), HubDenied, "gated"),
        ((404, "EntryNotFound"), HubNotFound, "no such file"),
    ],
)
def test_the_hub_lists_but_refuses_the_file(hub, tmp_path, case, error, words):
    resolved = resolve(HubModel(REPO), endpoint=hub.url)
    hub.deny_files = case
    with pytest.raises(error, match=words):
        fetch(resolved, tmp_path, endpoint=hub.url)


def test_a_name_the_hub_would_never_accept(hub):
    with pytest.raises(BadRequest, match="no repository's name"):
        resolve(HubModel("a/b--c..d"), endpoint=hub.url)


def test_a_page_instead_of_a_list_is_no_hub(hub):
    hub.deny[REPO] = (200, "")  # as a hotel's login page: all is well, but it is no JSON
    with pytest.raises(HubUnreachable, match=r"cannot be reached.*HF_ENDPOINT.*\.gguf"):
        resolve(HubModel(REPO), endpoint=hub.url)


def test_nobody_listens_is_found_out_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    start = time.monotonic()
    with pytest.raises(HubUnreachable, match="HF_ENDPOINT") as caught:
        resolve(HubModel(REPO), endpoint=url)
    assert time.monotonic() - start < 5
    assert caught.value.status == 503


def test_a_silent_hub_costs_the_timeout_and_no_more(hub):
    hub.silent = threading.Event()
    start = time.monotonic()
    with pytest.raises(HubUnreachable):
        resolve(HubModel(REPO), endpoint=hub.url, timeout=0.3)
    assert time.monotonic() - start < 3


def test_a_name_lookup_that_hangs_costs_the_timeout_too():
    never = threading.Event()
    api = module._api("http://hub.test", None)
    with pytest.raises(HubUnreachable, match=r"no answer within 0\.1 s"):
        module._within(0.1, never.wait, api)
    never.set()


def test_fetch_asks_again_and_skips_what_is_whole(hub, tmp_path):
    resolved = resolve(HubModel(REPO), endpoint=hub.url)
    path = fetch(resolved, tmp_path, endpoint=hub.url)
    assert path.read_bytes() == Q4
    assert [m for m, p, _ in hub.seen if "/resolve/" in p] == ["HEAD", "GET"]
    hub.seen.clear()
    steps = []
    assert fetch(resolved, tmp_path, endpoint=hub.url, on_progress=lambda *step: steps.append(step)) == path
    assert hub.seen == []
    assert steps == [(len(Q4), len(Q4))]


def test_a_mirror_that_lists_names_only(hub, tmp_path):
    hub.sizes = False
    resolved = resolve(HubModel(REPO), endpoint=hub.url)
    assert resolved.files == (HubFile("Coder-7B-Q4_K_M.gguf"),)
    assert fetch(resolved, tmp_path, endpoint=hub.url).read_bytes() == Q4


def test_a_mirror_without_any_checksum_is_refused(hub, tmp_path):
    hub.sizes = hub.checksums = False
    with pytest.raises(HubError, match="could not be checked"):
        fetch(resolve(HubModel(REPO), endpoint=hub.url), tmp_path, endpoint=hub.url)


def test_a_mirror_that_contradicts_itself(hub, tmp_path):
    odd = Resolved(REPO, COMMIT, "Q4_K_M", (HubFile("Coder-7B-Q4_K_M.gguf", 5, "0" * 64),))
    with pytest.raises(HubCorrupt, match=r"lists .* with 5 bytes but serves 300004"):
        fetch(odd, tmp_path, endpoint=hub.url)


def test_no_room(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _p: type("U", (), {"free": 1000}))
    with pytest.raises(HubDisk, match=r"needs 0\.3 MB more"):
        fetch(resolve(HubModel(REPO), endpoint=hub.url), tmp_path, endpoint=hub.url)
    assert list(tmp_path.iterdir()) == []


def test_names_from_the_network_stay_inside(hub):
    del hub.repos[REPO]["Coder-7B-Q4_K_M.gguf"]
    assert resolve(HubModel(REPO), endpoint=hub.url).quant == "Q8_0"


def test_obtain_twice_and_then_without_a_network(hub, tmp_path):
    path = obtain(HubModel(REPO), tmp_path, endpoint=hub.url)
    hub.seen.clear()
    for quant in (None, "q4_k_m", "Coder-7B-Q4_K_M.gguf"):
        assert obtain(HubModel(REPO, quant), tmp_path, endpoint="http://127.0.0.1:9") == path
    assert hub.seen == []
    with pytest.raises(HubUnreachable):
        obtain(HubModel(REPO, "Q8_0"), tmp_path, endpoint="http://127.0.0.1:9")


def test_obtain_a_named_file(tmp_path):
    good, bad = tmp_path / "good.gguf", tmp_path / "bad.gguf"
    good.write_bytes(b"GGUF...")
    bad.write_bytes(b"<html>")
    assert obtain(LocalModel(good), tmp_path) == good
    with pytest.raises(HubNotFound, match=r"bad.gguf is not a GGUF file. Beside it: good.gguf"):
        obtain(LocalModel(bad), tmp_path)
    with pytest.raises(HubNotFound, match=r"none.gguf does not exist. Name another file."):
        obtain(LocalModel(tmp_path / "empty" / "none.gguf"), tmp_path)


def put(root, name, content=b"GGUF....", age=0):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))


def test_models_on_disk(tmp_path):
    put(tmp_path, "own.gguf", age=30)
    put(tmp_path, "o/r-GGUF/M-Q4_K_M.gguf", age=10)
    put(tmp_path, "o/r-GGUF/M-Q8_0.gguf", age=20)
    put(tmp_path, "o/s/X/S-Q6_K-00001-of-00002.gguf")
    put(tmp_path, "o/s/X/S-Q6_K-00002-of-00002.gguf", b"GGUF" + b"." * 96)
    put(tmp_path, "o/t/T-Q6_K-00001-of-00002.gguf")  # its second part is missing
    put(tmp_path, "o/r-GGUF/mmproj-F16.gguf")
    put(tmp_path, "o/r-GGUF/M-Q2_K.gguf.0123456789ab.part")
    put(tmp_path, "o/r-GGUF/broken.gguf", b"<html>")
    found = [(m.path.name, m.repo, m.quant, m.bytes) for m in models_on_disk(tmp_path)]
    assert found == [
        ("S-Q6_K-00001-of-00002.gguf", "o/s", "Q6_K", 108),
        ("M-Q4_K_M.gguf", "o/r-GGUF", "Q4_K_M", 8),
        ("M-Q8_0.gguf", "o/r-GGUF", "Q8_0", 8),
        ("own.gguf", "", "own", 8),
    ]
    assert find_on_disk(HubModel("O/R-gguf"), tmp_path).quant == "Q4_K_M"
    assert find_on_disk(HubModel("o/r-GGUF", "Q8_0"), tmp_path).quant == "Q8_0"
    assert find_on_disk(HubModel("o/r-GGUF", "Q2_K"), tmp_path) is None
    assert models_on_disk(tmp_path / "none") == []


def test_a_file_that_may_not_be_read_is_no_model(tmp_path, monkeypatch):
    put(tmp_path, "locked.gguf")

    def refuse(*args, **more):
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    assert models_on_disk(tmp_path) == []


def test_every_row_of_the_catalog_can_be_asked_for():
    for row in catalog.CATALOG:
        assert parse_model_spec(row.name) == HubModel(row.repo, row.quant)
