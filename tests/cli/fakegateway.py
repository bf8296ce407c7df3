"""A gateway's four paths on a thread, with canned answers; what it was asked is kept in `seen`."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


def sse(*events: dict) -> bytes:
    """Events as the Anthropic dialect writes them."""
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def answer(*blocks: tuple[str, str], cached: int = 30) -> bytes:
    """A whole streamed answer of ("text" | "thinking", words) blocks."""
    usage = {"input_tokens": 10, "cache_read_input_tokens": cached, "output_tokens": 7}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": usage,
    }
    out = [{"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None}}]
    for index, (kind, words) in enumerate(blocks):
        empty = {"type": kind, kind: ""} | ({"signature": ""} if kind == "thinking" else {})
        out.append({"type": "content_block_start", "index": index, "content_block": empty})
        delta = {"type": f"{kind}_delta", kind: words}
        out.append({"type": "content_block_delta", "index": index, "delta": delta})
        out.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    return sse(*out, {"type": "message_delta", "delta": stop, "usage": usage}, {"type": "message_stop"})


@dataclass
class FakeGateway:
    """What it answers; change it before or during a test."""

    models: list[dict] = field(
        default_factory=lambda: [
            {"id": "qwen-coder", "display_name": "Qwen Coder", "max_input_tokens": 32768},
            {"id": "claude-local-qwen-coder", "max_input_tokens": 32768},
            {"id": "org/tiny", "display_name": "", "max_input_tokens": None},
        ]
    )
    engines: list[dict] = field(
        default_factory=lambda: [
            {"name": "ollama", "kind": "ollama", "state": "up", "models": ["qwen-coder", "org/tiny"]},
        ]
    )
    target: str = "ollama/qwen-coder"
    key: str = ""
    page: int = 1000
    body: bytes = answer(("text", "hello"))
    status: int = 200
    health: bytes | None = None
    notice: str = ""
    url: str = ""
    seen: list[tuple[str, str, dict, bytes]] = field(default_factory=list)


def _handler(fake: FakeGateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None: ...

        def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def admitted(self, body: bytes = b"") -> bool:
            headers = {name.lower(): value for name, value in self.headers.items()}
            fake.seen.append((self.command, self.path, headers, body))
            if self.path == "/health" or not fake.key or headers.get("authorization") == f"Bearer {fake.key}":
                return True
            self.answer(json.dumps({"type": "error", "error": {"message": "a key is needed"}}).encode(), 401)
            return False

        def do_GET(self) -> None:
            if not self.admitted():
                return
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            if path == "/health":
                health = {"status": "ok", "version": "9.9", "engines": fake.engines}
                self.answer(json.dumps(health).encode() if fake.health is None else fake.health)
            elif path == "/v1/models":
                ids = [row["id"] for row in fake.models]
                start = ids.index(query["after_id"][0]) + 1 if "after_id" in query else 0
                rows = fake.models[start : start + fake.page]
                more = start + fake.page < len(ids)
                last = rows[-1]["id"] if rows else None
                self.answer(json.dumps({"data": rows, "has_more": more, "last_id": last}).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if not self.admitted(body):
                return
            headers = {"x_understudy_target": fake.target}
            if fake.notice:
                headers["x_understudy_notice"] = fake.notice
            if self.path.endswith("/count_tokens"):
                self.answer(b'{"input_tokens": 3}', **headers)
            else:
                self.answer(fake.body, fake.status, content_type="text/event-stream", **headers)

    return Handler


@contextmanager
def running(fake: FakeGateway | None = None) -> Iterator[FakeGateway]:
    """The gateway, listening."""
    fake = fake or FakeGateway()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake)) as server:
        server.daemon_threads = True
        server.block_on_close = False
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
