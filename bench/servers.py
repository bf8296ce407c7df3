"""The processes: the scripted engine, and the two that are measured; their CPU time and memory."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

CONFIG = """
[discover]
on = false
[[engines]]
name = "script"
kind = "vllm"
url = "http://127.0.0.1:{engine}"
[batches]
file = "{home}/batches.db"
[budget]
file = "{home}/ledger.db"
[privacy]
audit = "{home}/audit.jsonl"
"""

NGINX = """
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {home}/access.log;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  client_max_body_size 64m;
  keepalive_requests 1000000;
  upstream engine {{ server 127.0.0.1:{engine}; keepalive 32; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""

READY_SECONDS = 60.0
TICK = 0.002


class Failure(Exception):
    """A server did not start, or ended."""


def cpu_seconds(pid: int) -> float:
    """User and system time of one process, all its threads, its children not. To the nanosecond where Linux gives it."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the clock id that clock_getcpuclockid(3) makes of a pid
    except (OSError, AttributeError):
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system


class Server:
    """A process that is measured.

    Attributes:
        name: for the table.
        start_cpu: seconds of CPU from its exec to its first answer; all its processes.
        start_wall: the same, on the wall.
    """

    def __init__(self, name: str, command: list[str], port: int, home: Path, probe: str) -> None:
        self.name = name
        self.port = port
        self._log = home / f"{name}.log"
        began = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home, start_new_session=True
            )
        try:
            self._wait(probe)
            self.start_wall = time.perf_counter() - began
            self.start_cpu = self.cpu()
        except BaseException:
            self.stop()
            raise

    def _wait(self, probe: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if _answers(self.port, probe):
                return
            time.sleep(TICK)
        raise Failure(
            f"{self.name} did not start; its log ends:\n{self._log.read_text(errors='replace')[-2000:]}"
        )

    def _pids(self) -> list[int]:
        """nginx works in a child; what the gateway starts are engines, which do not count."""
        if self.name != "nginx":
            return [self._process.pid]
        return [self._process.pid, *(child.pid for child in psutil.Process(self._process.pid).children())]

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        return sum(cpu_seconds(pid) for pid in self._pids())

    def peak_memory(self) -> int:
        """Bytes: the most that was ever resident (the high-water mark where Linux keeps one)."""
        return sum(_peak(pid) for pid in self._pids())

    def stop(self) -> None:
        """An orderly end; nobody is waiting for an answer."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _peak(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return psutil.Process(pid).memory_info().rss
    rows = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(rows["VmHWM"].split()[0]) * 1024


def _answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), READY_SECONDS) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode()
            )
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def gateway(engine: int, home: Path) -> Server:
    """understudy, from its own command line."""
    config = home / "understudy.toml"
    config.write_text(CONFIG.format(engine=engine, home=home))
    port = free_port()
    command = [sys.executable, "-m", "understudy", "serve", "--config", str(config), "--port", str(port)]
    return Server("understudy", command, port, home, "/health")


def nginx(engine: int, home: Path) -> Server | None:
    """Plain nginx with one worker; None where there is none."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        return None
    port = free_port()
    config = home / "nginx.conf"
    config.write_text(NGINX.format(home=home, engine=engine, port=port))
    command = [program, "-e", str(home / "error.log"), "-p", str(home), "-c", str(config)]
    return Server("nginx", command, port, home, "/v1/models")


@contextmanager
def engine(chunks: int, root: Path) -> Generator[int, None, None]:
    """The scripted engine; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.engine", str(chunks)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        start_new_session=True,
    )
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.terminate()
        process.wait()
        process.stdout.close()
