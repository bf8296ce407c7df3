"""From what the user calls a model to a GGUF on this machine.

    parse_model_spec("owner/name:Q4_K_M") -> resolve() -> fetch() -> path      or all of it: obtain()
    parse_model_spec("./model.gguf")      -> path

`resolve` and `fetch` speak to the hub; everything else reads names or the models directory, which is laid out as
`owner/name/file.gguf`. A model that is on disk is never looked up: the second start needs no network.
The hub's library does the listing and the metadata; `download.py` moves the bytes.
"""

import difflib
import queue
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from understudy.engines import catalog
from understudy.engines.download import (
    HubCorrupt,
    HubDenied,
    HubError,
    HubNotFound,
    HubUnreachable,
    Remote,
    check_room,
    complete,
    download,
    gigabytes,
)
from understudy.language.errors import BadRequest

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

TIMEOUT_SECONDS = 10.0
SEARCH_SECONDS = 3.0  # a courtesy: the hub's library would try a failing search for half a minute
MAGIC = b"GGUF"
# What to take when nobody said: Q4_K_M, then what is nearest to it in size and quality; the very small come last but one.
PREFERRED = (
    *("Q4_K_M", "UD-Q4_K_M", "UD-Q4_K_XL", "Q4_K_XL", "Q4_K_L", "Q4_K_S", "IQ4_XS", "IQ4_NL", "Q4_0", "Q4_1"),
    *("MXFP4_MOE", "MXFP4", "Q5_K_M", "UD-Q5_K_XL", "Q5_K_S", "Q5_0", "Q6_K", "UD-Q6_K_XL", "Q8_0"),
    *("Q3_K_L", "Q3_K_M", "UD-Q3_K_XL", "IQ3_M", "Q3_K_S", "Q2_K", "BF16", "F16", "F32"),
)
_REPO = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+?)(?::(?P<quant>[\w.-]+))?", re.ASCII)
_PREFIX = re.compile(r"(?:https://)?(?:hf\.co|huggingface\.co)/|hf:")
_SPLIT = re.compile(r"-(?P<number>\d{5})-of-(?P<count>\d{5})$")
_QUANT = re.compile(r"(?:UD-)?(?:I?Q\d+_\w+|TQ\d_\d|BF16|F16|F32|MXFP4(?:_MOE)?)$", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")


class LocalModel(msgspec.Struct, frozen=True):
    """A file the user named."""

    path: Path


class HubModel(msgspec.Struct, frozen=True):
    """A repository on the hub, and which of its quants; None takes the best of PREFERRED that it has."""

    repo: str
    quant: str | None = None


class HubFile(msgspec.Struct, frozen=True):
    """One file as the hub lists it; a mirror may leave out size and checksum (then `fetch` asks for them)."""

    path: str
    size: int | None = None
    sha256: str | None = None


class Resolved(msgspec.Struct, frozen=True):
    """What `fetch` will download.

    Attributes:
        repo: `owner/name`.
        revision: commit that the file list is of; all files are taken from it.
        quant: which one was chosen.
        files: the parts of the model in order, mostly one; llama.cpp is given the first.
        mmproj: the companion that lets the model see pictures, when it was asked for and is there.
    """

    repo: str
    revision: str
    quant: str
    files: tuple[HubFile, ...]
    mmproj: HubFile | None = None

    @property
    def bytes(self) -> int:
        """Size of all of it as far as the list says."""
        return sum(file.size or 0 for file in (*self.files, *([self.mmproj] if self.mmproj else [])))


class OnDisk(msgspec.Struct, frozen=True):
    """A whole model in the models directory.

    Attributes:
        path: the file to give to llama.cpp (of a split model, the first part).
        repo: `owner/name` it came from, or "" for a file somebody put there.
        quant: as in the file's name, or the name itself.
        bytes: size of all its parts.
    """

    path: Path
    repo: str
    quant: str
    bytes: int


def parse_model_spec(text: str) -> LocalModel | HubModel:
    """Read `PATH`, `owner/name[:quant]` or a short name of the catalog. Looks at the text only, not at the disk.

    A path ends in `.gguf` or begins with `/`, `./`, `../` or `~`; `hf.co/` before a repository is allowed.

    Raises:
        BadRequest: it is none of these; the message has the nearest short names.
    """
    text = text.strip()
    if text.startswith(("/", "./", "../", "~")) or (text.lower().endswith(".gguf") and ":" not in text):
        return LocalModel(Path(text).expanduser())
    if row := catalog.by_name(text):
        return HubModel(row.repo, row.quant)
    if found := _REPO.fullmatch(_PREFIX.sub("", text, count=1)):
        return HubModel(found["repo"], found["quant"])
    names = [row.name for row in catalog.CATALOG]
    near = difflib.get_close_matches(text.lower(), names, 3, 0.3) or names
    raise BadRequest(
        f"{text!r} is no model: give the path of a .gguf file, a repository as owner/name:quant, or one of "
        f"{', '.join(near)}."
    )


def obtain(
    spec: LocalModel | HubModel,
    directory: Path,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Path:
    """The file of a model, downloaded if it is not on disk yet. See `fetch` for the arguments and errors."""
    if isinstance(spec, LocalModel):
        return local_file(spec.path)
    if found := find_on_disk(spec, directory):
        return found.path
    resolved = resolve(spec, endpoint=endpoint, token=token)
    return fetch(resolved, directory, endpoint=endpoint, token=token, on_progress=on_progress)


def local_file(path: Path) -> Path:
    """Check that a named file is there and is a GGUF.

    Raises:
        HubNotFound: it is not; the message has the models beside it.
    """
    if _is_gguf(path):
        return path
    beside = ", ".join(sorted(p.name for p in path.parent.glob("*.gguf") if p != path)[:5])
    what = "is not a GGUF file" if path.exists() else "does not exist"
    raise HubNotFound(f"{path} {what}. " + (f"Beside it: {beside}." if beside else "Name another file."))


def models_on_disk(directory: Path) -> list[OnDisk]:
    """The whole models below a directory, the newest first. Unfinished, incomplete and companion files are left out."""
    files = [p for p in directory.rglob("*") if p.suffix.lower() == ".gguf" and _is_gguf(p)]
    names = {str(p): p for p in files if _is_model(p.name)}
    found: list[tuple[float, OnDisk]] = []
    for parts in _whole_models([HubFile(name, p.stat().st_size) for name, p in names.items()]):
        path = names[parts[0].path]
        inside = path.relative_to(directory).parts
        repo = "/".join(inside[:2]) if len(inside) > 2 else ""  # noqa: PLR2004 - owner, name, file
        size = sum(part.size or 0 for part in parts)
        found.append((-path.stat().st_mtime, OnDisk(path, repo, quant_of(path.name), size)))
    return [model for _, model in sorted(found, key=lambda pair: (pair[0], pair[1].path))]


def find_on_disk(spec: HubModel, directory: Path) -> OnDisk | None:
    """The model on disk that `spec` means, or None."""
    mine = [model for model in models_on_disk(directory) if model.repo.lower() == spec.repo.lower()]
    if spec.quant is None:
        return min(mine, key=lambda model: _preference(model.quant), default=None)
    return next((model for model in mine if _is_quant(spec.quant, model.path.name)), None)


def quant_of(name: str) -> str:
    """The quantisation in a file's name, in capitals; the bare name where there is none."""
    stem = _SPLIT.sub("", Path(name).stem)
    found = _QUANT.search(stem)
    return found[0].upper() if found else stem


def resolve(
    spec: HubModel,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    mmproj: bool = False,
    timeout: float = TIMEOUT_SECONDS,
) -> Resolved:
    """List a repository and choose its files.

    Args:
        spec: repository and quant.
        endpoint: address of a mirror; None is the hub itself, or what HF_ENDPOINT told its library.
        token: for private and gated repositories.
        mmproj: also take the companion for pictures, if there is one.
        timeout: seconds until the hub counts as unreachable, name look-up included.

    Raises:
        HubUnreachable, HubDenied, HubNotFound, HubError: see `download.HubError`.
    """
    api = _api(endpoint, token)
    try:
        info = _within(timeout, lambda: api.model_info(spec.repo, files_metadata=True, timeout=timeout), api)
    except HubNotFound as error:
        raise HubNotFound(
            f"{error.message} {_nearest(api, spec.repo, min(timeout, SEARCH_SECONDS))}"
        ) from error
    listed = [
        HubFile(s.rfilename, s.size, s.lfs.sha256 if s.lfs else None)
        for s in info.siblings or []
        if s.rfilename.lower().endswith(".gguf") and _is_safe(s.rfilename)
    ]
    files = _choose(spec, listed)
    companion = next((f for f in sorted(listed, key=lambda f: f.path) if "mmproj" in f.path.lower()), None)
    name = quant_of(files[0].path)
    return Resolved(spec.repo, info.sha or "main", name, files, companion if mmproj else None)


def fetch(
    resolved: Resolved,
    directory: Path,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    timeout: float = TIMEOUT_SECONDS,
) -> Path:
    """Download what `resolve` chose, or go on with it; what is already there is skipped.

    Args:
        resolved: from `resolve`.
        directory: the models directory; files go to `owner/name/` in it.
        endpoint: address of a mirror; None is the hub itself.
        token: for private and gated repositories.
        on_progress: called with the bytes had so far and the bytes in all, over all files.
        timeout: seconds to wait for the hub's answer about a file; the transfer has its own limits.

    Returns:
        The file to give to llama.cpp.

    Raises:
        HubError: any of its kinds; see `download.download`.
    """
    api = _api(endpoint, token)
    home = directory / resolved.repo
    files = [*resolved.files, *([resolved.mmproj] if resolved.mmproj else [])]
    todo = [(_remote(api, resolved, file, home, timeout), home / file.path) for file in files]
    check_room(todo, directory)
    total, before = sum(item.size for item, _ in todo), 0
    for item, target in todo:
        start = before  # bound now: the callback lives on

        def report(done: int, start: int = start) -> None:
            on_progress(start + done, total)

        download(item, target, token=token, on_progress=report)
        before += item.size
    return home / resolved.files[0].path


def _remote(api: "HfApi", resolved: Resolved, file: HubFile, home: Path, timeout: float) -> Remote:
    """Address, size and checksum of a file: asked of the hub again, except for a file that is already whole."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url  # noqa: PLC0415 - slow, and most runs fetch nothing

    url = hf_hub_url(resolved.repo, file.path, revision=resolved.revision, endpoint=api.endpoint)
    if file.size is not None and file.sha256 is not None:
        listed = Remote(file.path, url, file.size, file.sha256)
        if complete(listed, home / file.path):
            return listed
    head = _within(
        timeout,
        lambda: get_hf_file_metadata(url, token=api.token, timeout=timeout, endpoint=api.endpoint),
        api,
    )
    sha256 = file.sha256 or (head.etag if head.etag and _SHA256.fullmatch(head.etag) else None)
    size = file.size if head.size is None else head.size
    if size is None or sha256 is None:
        raise HubError(
            f"{api.endpoint} gives no size or no sha256 for {file.path}, so it could not be checked. Use another "
            "endpoint, or download the file yourself and give its path."
        )
    if file.size not in {None, size}:
        raise HubCorrupt(
            f"{api.endpoint} lists {file.path} with {file.size} bytes but serves {size}: use another mirror."
        )
    return Remote(file.path, url, size, sha256)


def _choose(spec: HubModel, listed: list[HubFile]) -> tuple[HubFile, ...]:
    models = _whole_models([file for file in listed if _is_model(file.path)])
    if not models:
        raise HubNotFound(
            f"{spec.repo} has no complete GGUF model. Look for a repository whose name ends in -GGUF."
        )
    if spec.quant is None:
        return min(models, key=lambda parts: (_preference(quant_of(parts[0].path)), len(parts[0].path)))
    wanted = [parts for parts in models if _is_quant(spec.quant, parts[0].path)]
    if wanted:  # a plain Q4_K_M before a UD-Q4_K_M
        return min(wanted, key=lambda parts: (len(quant_of(parts[0].path)), len(parts[0].path)))
    names = sorted({f"{quant_of(m[0].path)} ({gigabytes(sum(f.size or 0 for f in m))})" for m in models})
    near = difflib.get_close_matches(spec.quant.upper(), [quant_of(m[0].path) for m in models], 1, 0.3)
    hint = f" Nearest: {spec.repo}:{near[0]}." if near else ""
    raise HubNotFound(f"{spec.repo} has no {spec.quant}.{hint} It has: {', '.join(names)}.")


def _whole_models(files: list[HubFile]) -> list[tuple[HubFile, ...]]:
    """Put the parts of split models together, in order; a model with a part missing is left out."""
    groups: dict[tuple[str, int], dict[int, HubFile]] = {}
    for file in files:
        stem = file.path[: -len(".gguf")]
        split = _SPLIT.search(stem)
        number, count = (int(split["number"]), int(split["count"])) if split else (1, 1)
        groups.setdefault((_SPLIT.sub("", stem), count), {})[number] = file
    return [
        tuple(parts[n] for n in range(1, count + 1))
        for (_, count), parts in groups.items()
        if set(parts) == set(range(1, count + 1))
    ]


def _is_model(path: str) -> bool:
    """Not the companion for pictures, and not the statistics that a quant was made with."""
    name = path.rsplit("/", 1)[-1].lower()
    return "mmproj" not in name and not name.startswith("imatrix")


def _is_quant(wanted: str, path: str) -> bool:
    """`Q4_K_M` also means `UD-Q4_K_M`; the whole name of a file means that file."""
    quant = quant_of(path)
    return (
        wanted.upper() in {quant, quant.removeprefix("UD-")}
        or wanted.lower() == path.rsplit("/", 1)[-1].lower()
    )


def _preference(quant: str) -> int:
    return PREFERRED.index(quant) if quant in PREFERRED else len(PREFERRED)


def _is_safe(path: str) -> bool:
    """A name from the network must stay inside the models directory."""
    return not path.startswith("/") and "\\" not in path and ".." not in path.split("/")


def _is_gguf(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except PermissionError:
        return False  # a file we may not read is no model of ours


def _api(endpoint: str | None, token: str | None) -> "HfApi":
    from huggingface_hub import HfApi, constants  # noqa: PLC0415 - slow, and most runs fetch nothing

    # Its telemetry would first ask huggingface.co which agents exist, whatever the endpoint.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    return HfApi(
        endpoint=endpoint.rstrip("/") if endpoint else None, token=token or False, library_name="understudy"
    )


def _within(seconds: float, ask: Callable[[], T], api: "HfApi") -> T:
    """Call the hub's library, for so long and no longer, and translate what it raises.

    In a thread, because a name look-up without a network may hang far beyond every timeout of an HTTP client. The
    thread is a daemon: when it is late, nobody waits for it.
    """
    answer: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answer.put((ask(), None))
        except Exception as error:  # noqa: BLE001 - raised again below, translated
            answer.put((None, error))

    threading.Thread(target=work, name="hub", daemon=True).start()
    try:
        value, error = answer.get(timeout=seconds)
    except queue.Empty:
        raise _unreachable(api, f"no answer within {seconds:g} s") from None
    if error is not None:
        raise _translated(error, api) from error
    return value  # type: ignore[return-value]  # no error: the value is ask()'s


def _unreachable(api: "HfApi", reason: str) -> HubUnreachable:
    return HubUnreachable(
        f"The model hub at {api.endpoint} cannot be reached ({reason}). Check the network, set HF_ENDPOINT to a mirror, "
        "or give the path of a .gguf file that is on this machine."
    )


def _translated(error: Exception, api: "HfApi") -> Exception:
    """What the hub's library raised, as one of our errors; by status first, because its classes change."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError  # noqa: PLC0415

    if isinstance(error, HFValidationError):
        return BadRequest(f"This is no repository's name: {error}")
    if not isinstance(error, HfHubHTTPError):
        return _unreachable(api, f"{type(error).__name__}: {error}".strip()[:200])
    status, code = error.response.status_code, error.response.headers.get("X-Error-Code", "")
    if isinstance(error, GatedRepoError) or status == 403:  # noqa: PLR2004 - Forbidden
        return HubDenied(
            "The model is gated: accept its licence on its page on the hub, then set HF_TOKEN to a token that may read it."
        )
    if status == 401 and api.token:  # noqa: PLR2004 - Unauthorized
        return HubDenied(
            "The hub does not accept this HF_TOKEN, or the token may not read the model: set another one."
        )
    if status in {401, 404}:  # without a token the hub says 401 for what does not exist, too
        what = "file or version" if code in {"EntryNotFound", "RevisionNotFound"} else "repository"
        return HubNotFound(f"The hub has no such {what}, or it is private (then set HF_TOKEN).")
    return _unreachable(api, f"status {status}")


def _nearest(api: "HfApi", repo: str, timeout: float) -> str:
    """Names like the one that was not found: the catalog's, and what the hub's own search finds."""
    name = repo.rsplit("/", 1)[-1]
    try:
        hits = _within(
            timeout, lambda: [m.id for m in api.list_models(search=name, filter="gguf", limit=10)], api
        )
    except HubError:
        hits = []  # the search is a courtesy; the answer stays "not found"
    names = [*hits, *(row.repo for row in catalog.CATALOG)]
    near = list(dict.fromkeys([*hits[:2], *difflib.get_close_matches(repo, names, 3, 0.5)]))
    return (
        f"Did you mean {', '.join(near[:4])}?" if near else "Search the hub for the name with GGUF behind it."
    )
