import errno
import fcntl
import hashlib
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from fakehub import COMMIT, FakeHub, running

from understudy.engines import download as module
from understudy.engines.download import (
    TRIES,
    HubBusy,
    HubCorrupt,
    HubDenied,
    HubDisk,
    HubError,
    HubNotFound,
    HubUnreachable,
    Remote,
    check_room,
    download,
    gigabytes,
    part_path,
)

BLOB = b"GGUF" + hashlib.shake_128(b"a model").digest(3_000_000)
REPO = "owner/model-GGUF"


@pytest.fixture
def hub():
    with running(FakeHub({REPO: {"m.gguf": BLOB}})) as hub:
        yield hub


@pytest.fixture
def item(hub):
    return Remote(
        "m.gguf", f"{hub.url}/{REPO}/resolve/{COMMIT}/m.gguf", len(BLOB), hashlib.sha256(BLOB).hexdigest()
    )


@pytest.fixture
def target(tmp_path):
    return tmp_path / "models" / "m.gguf"


def get(item, target, **more):
    return download(item, target, pause=lambda _s: None, **more)


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def begin(item, target, content):
    target.parent.mkdir(parents=True, exist_ok=True)
    part_path(item, target).write_bytes(content)


def test_whole_file_with_progress_and_only_that_left(hub, item, target):
    seen = []
    assert get(item, target, on_progress=seen.append) == target
    assert target.read_bytes() == BLOB
    assert seen == sorted(seen)
    assert seen[-1] == len(BLOB)
    assert names(target.parent) == ["m.gguf"]
    assert hub.ranges() == [""]


def test_a_complete_file_is_not_asked_for(hub, item, target):
    get(item, target)
    hub.seen.clear()
    seen = []
    get(item, target, on_progress=seen.append)
    assert hub.seen == []
    assert seen == [len(BLOB)]


def test_the_token_stays_with_the_hub(hub, item, target):
    get(item, target, token="hf_secret")
    by_place = {path.startswith("/cdn/"): headers.get("authorization") for _, path, headers in hub.seen}
    assert by_place == {False: "Bearer hf_secret", True: None}


def test_a_dropped_connection_goes_on_with_a_range(hub, item, target):
    hub.cut_after = [1_000_000, 500_000]
    get(item, target)
    assert target.read_bytes() == BLOB
    assert hub.ranges() == ["", "bytes=1000000-", "bytes=1500000-"]


def test_a_part_of_an_earlier_run_is_continued(hub, item, target):
    begin(item, target, BLOB[:2_000_000])
    get(item, target)
    assert target.read_bytes() == BLOB
    assert hub.ranges() == ["bytes=2000000-"]


def test_a_part_that_only_lacked_its_name_needs_no_network(hub, item, target):
    begin(item, target, BLOB)
    get(item, target)
    assert target.read_bytes() == BLOB
    assert hub.seen == []


def test_a_server_without_ranges_starts_over(hub, item, target):
    hub.ignore_range = True
    begin(item, target, BLOB[:2_000_000])
    get(item, target)
    assert target.read_bytes() == BLOB
    assert hub.ranges() == ["bytes=2000000-"]


def test_another_range_than_asked_for_starts_over(hub, item, target):
    hub.wrong_range = True
    begin(item, target, BLOB[:2_000_000])
    get(item, target)
    assert target.read_bytes() == BLOB
    assert hub.ranges() == ["bytes=2000000-", ""]


def test_a_server_that_never_gets_past_a_point_is_given_up(hub, item, target):
    hub.ignore_range = True
    hub.cut_after = [1_000_000] * 20
    with pytest.raises(HubUnreachable, match=r"broke 5 times at 1\.0 MB of 3\.0 MB.*it goes on from there"):
        get(item, target)
    assert len(hub.ranges()) == 1 + TRIES
    assert part_path(item, target).read_bytes() == BLOB[:1_000_000]


def test_pauses_grow_and_a_wish_of_the_server_is_kept(hub, item, target):
    hub.statuses = [503, 429, 403]  # 403 of a CDN: its signature ran out, and the hub gives a new address
    waits = []
    download(item, target, pause=waits.append)
    assert target.read_bytes() == BLOB
    assert waits == [7.0, 7.0, 7.0]
    assert sum(path.startswith("/owner/") for _, path, _ in hub.seen) == 4


def test_progress_resets_the_count_of_failures(hub, item, target):
    hub.cut_after = [100_000] * 20
    waits = []
    download(item, target, pause=waits.append)
    assert target.read_bytes() == BLOB
    assert waits == [0.5] * 20


@pytest.mark.parametrize("served", [b"x" * len(BLOB), BLOB + b"more"], ids=["other bytes", "too many"])
def test_wrong_bytes_are_refused_and_removed(hub, item, target, served):
    hub.serve_instead = served
    with pytest.raises(HubCorrupt, match=r"arrived damaged.*was removed.*another endpoint"):
        get(item, target)
    assert names(target.parent) == []


def test_a_damaged_part_is_found_out(hub, item, target):
    begin(item, target, b"\0" * 1000)
    with pytest.raises(HubCorrupt):
        get(item, target)
    get(item, target)
    assert target.read_bytes() == BLOB


@pytest.mark.parametrize(
    "case",
    [
        (401, HubDenied, "HF_TOKEN"),
        (403, HubDenied, "licence"),
        (404, HubNotFound, "no longer has"),
        (418, HubError, "418"),
    ],
)
def test_refusals(hub, item, target, case):
    status, error, words = case
    hub.deny_files = (status, "")
    with pytest.raises(error, match=words) as caught:
        get(item, target)
    assert type(caught.value) is error
    assert not target.exists()


def test_nobody_listens(item, target):
    gone = Remote(item.name, "http://127.0.0.1:9/x", item.size, item.sha256)
    with pytest.raises(HubUnreachable, match="broke 5 times"):
        get(gone, target)


CHILD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from understudy.engines.download import Remote, download
    url, size, sha, target = sys.argv[1:]
    show = lambda done: print(done, flush=True)
    download(Remote("m.gguf", url, int(size), sha), Path(target), on_progress=show)
    """
)


def start_child(item, target):
    args = [sys.executable, "-c", CHILD, item.url, str(item.size), item.sha256, str(target)]
    child = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while int(child.stdout.readline()) < item.size // 2:
        pass
    return child


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_resumes_after_the_process_ended(hub, item, target, how):
    hub.hold = threading.Event()
    child = start_child(item, target)
    child.send_signal(how)
    child.communicate(timeout=20)
    had = part_path(item, target).stat().st_size
    assert had == item.size // 2
    assert not target.exists()
    hub.hold.set()
    hub.hold = None
    get(item, target)
    assert target.read_bytes() == BLOB
    assert hub.ranges() == ["", f"bytes={had}-"]


def test_two_processes_want_the_same_file(hub, item, target):
    hub.hold = threading.Event()
    child = start_child(item, target)
    with pytest.raises(HubBusy, match=r"Another process is downloading m\.gguf \(1\.5 MB of 3\.0 MB"):
        get(item, target)
    hub.hold.set()
    child.communicate(timeout=20)
    assert child.returncode == 0
    assert target.read_bytes() == BLOB


def test_a_file_finished_by_another_between_open_and_lock(hub, item, target, monkeypatch):
    begin(item, target, BLOB)
    real = fcntl.flock

    def late(file, how):
        if not target.exists():
            part_path(item, target).replace(target)  # the other process was quicker
        real(file, how)

    monkeypatch.setattr(module.fcntl, "flock", late)
    get(item, target)
    assert target.read_bytes() == BLOB
    assert names(target.parent) == ["m.gguf"]
    assert hub.seen == []


def test_parts_of_older_versions_go_but_not_of_other_files(item, target):
    begin(item, target, BLOB[:10])
    for name in ("m.gguf.0123456789ab.part", "other.gguf.0123456789ab.part"):
        (target.parent / name).write_bytes(b"old")
    get(item, target)
    assert names(target.parent) == ["m.gguf", "other.gguf.0123456789ab.part"]


def test_disk_full_keeps_the_part(hub, item, target, monkeypatch):
    real = module._Part.add

    def full(part, chunk):
        if part.done > 1_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(part, chunk)

    monkeypatch.setattr(module._Part, "add", full)
    with pytest.raises(
        HubDisk, match=r"disk became full.*is kept: free some space and run the same command"
    ) as caught:
        get(item, target)
    assert caught.value.status == 507
    had = part_path(item, target).stat().st_size
    assert had > 1_000_000
    monkeypatch.undo()
    get(item, target)
    assert target.read_bytes() == BLOB
    assert hub.ranges() == ["", f"bytes={had}-"]


def test_short_writes_lose_nothing(tmp_path):
    class Slow:
        had = b""

        def write(self, view):
            self.had += bytes(view[:3])
            return len(view[:3])

    part = module._Part(tmp_path, Slow())
    part.add(b"0123456789")
    assert part.file.had == b"0123456789"
    assert part.digest.hexdigest() == hashlib.sha256(b"0123456789").hexdigest()


def test_a_directory_that_is_a_file(item, tmp_path):
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(HubDisk, match="choose another models directory"):
        get(item, tmp_path / "models" / "m.gguf")


def test_room_is_checked_before(item, target, monkeypatch):
    free = module.SPARE + len(BLOB)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _p: type("U", (), {"free": free}))
    check_room([(item, target)], target.parent)
    free -= 1
    with pytest.raises(HubDisk, match=r"needs 3\.0 MB more in .*but only 0\.3 GB are free"):
        check_room([(item, target)], target.parent)
    begin(item, target, BLOB[:1])  # what is there already is not needed again
    check_room([(item, target)], target.parent)
    target.write_bytes(BLOB)
    free = 0
    check_room([(item, target)], target.parent)


@pytest.mark.parametrize(
    ("count", "text"), [(18_556_689_568, "18.6 GB"), (100_000_000, "0.1 GB"), (400_000, "0.4 MB")]
)
def test_gigabytes(count, text):
    assert gigabytes(count) == text
