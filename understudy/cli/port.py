"""The port we listen on: taken early, and whose it is if it is not free."""

import errno
import os
import socket

from understudy.config import ConfigError
from understudy.language.errors import UnderstudyError

PORTS_TRIED = 50


def reserved(host: str, port: int) -> socket.socket:
    """A socket bound to the address, not listening yet: the port is ours before a model is loaded for it.

    Raises:
        UnderstudyError: somebody has the port; the message says who, and which one is free.
        ConfigError: the address is not one of this machine.
    """
    try:
        return _bound(host, port)
    except socket.gaierror as error:
        reason = (error.strerror or "unknown name").lower()
        raise ConfigError(f"server.host = {host!r}: {reason}") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UnderstudyError(taken(host, port)) from error
        reason = os.strerror(error.errno or 0).lower()
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}") from error


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def taken(host: str, port: int) -> str:
    """Who has the port, and what to do."""
    free = next((p for p in range(port + 1, min(port + PORTS_TRIED, 65536)) if _is_free(host, p)), 0)
    other = f"take another port: understudy serve --port {free}" if free else "take another port"
    version = _understudy_at(host, port)
    if version:
        return f"another understudy ({version}) serves port {port} already. Use it, or {other}"
    return f"port {port} is taken by {holder(port)}. Stop that, or {other}"


def _is_free(host: str, port: int) -> bool:
    try:
        _bound(host, port).close()
    except OSError:
        return False
    return True


def _understudy_at(host: str, port: int) -> str:
    from understudy.cli.visit import Gateway

    try:
        return Gateway(address(host, port)).health().version
    except UnderstudyError:
        return ""


def holder(port: int) -> str:
    """The program that listens on a port, as far as the system lets us see."""
    import psutil

    try:
        rows = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        rows = []
    pid = next(
        (r.pid for r in rows if r.status == psutil.CONN_LISTEN and r.laddr and r.laddr.port == port), None
    )
    if not pid:
        return "another program"
    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.Error:
        return f"process {pid}"


def address(host: str, port: int) -> str:
    """The URL a client on this machine uses for what listens there."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(
        host, f"[{host}]" if ":" in host else host
    )
    return f"http://{name}:{port}"
