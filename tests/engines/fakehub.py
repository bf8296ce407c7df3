"""An imitation of the model hub on loopback: listing, metadata, redirect to a "CDN" on another host name, and faults."""

import contextlib
import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


@dataclass
class FakeHub:
    """Repositories and the faults to play; what was asked is kept in `seen`."""

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    cut_after: list[int] = field(default_factory=list)  # bytes each next CDN answer sends before it drops
    statuses: list[int] = field(default_factory=list)  # statuses of the next CDN answers
    ignore_range: bool = False
    wrong_range: bool = False
    checksums: bool = True
    sizes: bool = True
    deny: dict[str, tuple[int, str]] = field(default_factory=dict)  # repo or path -> status, X-Error-Code
    deny_files: tuple[int, str] | None = None
    serve_instead: bytes | None = None
    hold: threading.Event | None = None  # the CDN sends half of the file, then waits for this
    silent: threading.Event | None = None  # the hub answers only once this is set
    url: str = ""
    cdn: str = ""

    def blob(self, repo: str, path: str) -> bytes | None:
        return self.repos.get(repo, {}).get(path)

    def ranges(self) -> list[str]:
        """The Range headers that the CDN saw, in order; "" where there was none."""
        return [
            h.get("range", "")
            for method, path, h in self.seen
            if method == "GET" and path.startswith("/cdn/")
        ]


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None: ...

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            if "Content_Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            hub.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            if hub.silent:
                hub.silent.wait(20)
            url = urlsplit(self.path)
            if url.path in hub.deny:
                self.answer(hub.deny[url.path][0])
            elif url.path == "/api/models":
                word = parse_qs(url.query)["search"][0].lower()
                self.json([{"id": r, "modelId": r} for r in hub.repos if word[:5] in r.lower()])
            elif url.path.startswith("/api/models/"):
                self.listing(unquote(url.path.removeprefix("/api/models/")))
            elif url.path.startswith("/cdn/"):
                self.content(unquote(url.path.removeprefix("/cdn/")))
            elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", unquote(url.path)):
                self.resolve(found[1], found[2], found[3])
            else:
                self.answer(404)

        def json(self, value: object) -> None:
            self.answer(200, json.dumps(value).encode(), Content_Type="application/json")

        def listing(self, repo: str) -> None:
            if repo in hub.deny:
                status, code = hub.deny[repo]
                self.answer(status, **({"X_Error_Code": code} if code else {}))
            elif repo not in hub.repos:
                self.answer(404, X_Error_Code="RepoNotFound")
            else:
                files = [self.sibling(p, b) for p, b in hub.repos[repo].items()]
                self.json({"id": repo, "modelId": repo, "sha": COMMIT, "siblings": files})

        def sibling(self, path: str, blob: bytes) -> dict[str, object]:
            lfs = {"size": len(blob), "sha256": hashlib.sha256(blob).hexdigest(), "pointerSize": 1}
            return {"rfilename": path} | ({"size": len(blob), "lfs": lfs} if hub.sizes else {})

        def resolve(self, repo: str, revision: str, path: str) -> None:
            blob = hub.blob(repo, path)
            if hub.deny_files:
                self.answer(hub.deny_files[0], X_Error_Code=hub.deny_files[1])
            elif blob is None or revision != COMMIT:
                self.answer(404, X_Error_Code="EntryNotFound")
            else:
                etag = hashlib.sha256(blob).hexdigest() if hub.checksums else "0" * 40
                self.answer(
                    302,
                    Location=f"{hub.cdn}/cdn/{quote(repo)}/{quote(path)}",
                    X_Repo_Commit=COMMIT,
                    X_Linked_Etag=f'"{etag}"',
                    X_Linked_Size=str(len(blob)),
                )

        def content(self, place: str) -> None:
            owner, name, path = place.split("/", 2)
            blob = hub.serve_instead or hub.blob(f"{owner}/{name}", path) or b""
            if hub.statuses:
                self.answer(hub.statuses.pop(0), Retry_After="7")
                return
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked and not hub.ignore_range else 0
            if start >= len(blob):
                self.answer(416)
                return
            self.send_response(206 if start else 200)
            if start:
                shown = start + 1 if hub.wrong_range else start
                self.send_header("Content-Range", f"bytes {shown}-{len(blob) - 1}/{len(blob)}")
            self.send_header("Content-Length", str(len(blob) - start))
            self.end_headers()
            self.body(blob[start:])

        def body(self, rest: bytes) -> None:
            if hub.hold:
                half = len(rest) // 2
                self.wfile.write(rest[:half])
                hub.hold.wait(20)
                rest = rest[half:]
            elif hub.cut_after:
                rest = rest[: hub.cut_after.pop(0)]
                self.close_connection = True
            with contextlib.suppress(OSError):  # the client may be gone: that is one of the tests
                self.wfile.write(rest)

    return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # clients that go away are part of the tests
            super().handle_error(request, client_address)


@contextlib.contextmanager
def running(hub: FakeHub) -> Iterator[FakeHub]:
    servers = [_Server(("127.0.0.1", 0), _handler(hub)) for _ in range(2)]
    threads = [threading.Thread(target=s.serve_forever, args=(0.02,), daemon=True) for s in servers]
    hub.url = f"http://127.0.0.1:{servers[0].server_port}"
    hub.cdn = f"http://localhost:{servers[1].server_port}"
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for event in (hub.hold, hub.silent):
            if event:
                event.set()
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
