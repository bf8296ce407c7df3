"""The run: gateway and nginx in turns, round by round, and the medians."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from bench import servers
from bench.load import PATIENCE, Done, Order
from bench.servers import Failure, Server

ROOT = Path(__file__).parent.parent
CHUNKS = 100
PACED_CHUNKS = 10 * CHUNKS
STREAMED, WHOLE, PACED = "1,000 streamed answers", "1,000 whole answers", "100k paced chunks"


GOALS = {STREAMED: 4.0, PACED: 2.5}
"""What the ratio to nginx should come to. nginx passes bytes; the gateway reads and writes two languages."""


class Plan(Struct, frozen=True):
    """How much is asked, and how often."""

    rounds: int = 5
    streamed: int = 1000
    whole: int = 1000
    paced: int = 20
    """Paced answers, of 1,000 chunks each."""
    starts: int = 3


QUICK = Plan(rounds=3, streamed=300, whole=200, paced=4, starts=2)


class Figures(Struct):
    """One server's results.

    Attributes:
        cpu: seconds of CPU by workload, one number a round.
        start_cpu: seconds of CPU until ready, one a start.
        start_wall: seconds on the wall.
        memory: bytes at most.
    """

    cpu: dict[str, list[float]]
    start_cpu: list[float]
    start_wall: list[float]
    memory: int = 0


class Report(Struct):
    """What a run found.

    Attributes:
        figures: by server.
        ratios: the gateway's CPU over nginx's, by workload; medians of rounds. Empty without nginx.
        one_by_one: share of the paced chunks that reached the client in a piece of their own.
    """

    figures: dict[str, Figures]
    ratios: dict[str, float]
    one_by_one: float


Tell = Callable[[str], None]


def run(plan: Plan, tell: Tell) -> Report:
    """Measure.

    Raises:
        Failure: a server did not start or did not answer as it should.
    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        home.chmod(0o755)  # a worker of nginx that root started is nobody, and has files of its own in there
        port = stack.enter_context(servers.engine(CHUNKS, ROOT))
        running, figures = _started(plan.starts, port, home, stack, tell)
        for server in running:
            tell(f"{server.name}: warming up")
            _ask(server, "stream", 100)
            _ask(server, "whole", 40)
            _ask(server, "paced", 4)
        one_by_one = [
            _round(server, plan, figures[server.name], f"round {i + 1} of {plan.rounds}", tell)
            for i in range(plan.rounds)
            for server in running
        ]
        for server in running:
            figures[server.name].memory = server.peak_memory()
    return Report(figures, _ratios(figures), min(one_by_one))


def _started(
    starts: int, port: int, home: Path, stack: ExitStack, tell: Tell
) -> tuple[list[Server], dict[str, Figures]]:
    """Both servers; each is started several times, and the last one stays."""
    running, figures = [], {}
    for start in (servers.gateway, servers.nginx):
        for i in range(starts):
            tell(f"start {i + 1} of {starts}")
            server = start(port, home)
            if server is None:
                break
            row = figures.setdefault(server.name, Figures({}, [], []))
            row.start_cpu.append(server.start_cpu)
            row.start_wall.append(server.start_wall)
            if i + 1 < starts:
                server.stop()
                continue
            stack.callback(server.stop)
            running.append(server)
    return running, figures


def _round(server: Server, plan: Plan, figures: Figures, where: str, tell: Tell) -> float:
    """Every workload once; gives the share of chunks that came one by one."""
    done = Done(0, 0, 0, 0.0)
    for name, kind, count, unit in (
        (STREAMED, "stream", plan.streamed, 1000 / plan.streamed),
        (WHOLE, "whole", plan.whole, 1000 / plan.whole),
        (PACED, "paced", plan.paced, 100_000 / (plan.paced * PACED_CHUNKS)),
    ):
        tell(f"{where}: {server.name}, {name}")
        before = server.cpu()
        done = _ask(server, kind, count)
        figures.cpu.setdefault(name, []).append((server.cpu() - before) * unit)
    return min(1.0, done.arrivals / done.chunks)


def _ask(server: Server, kind: str, count: int) -> Done:
    chunks = PACED_CHUNKS if kind == "paced" else CHUNKS
    order = Order(server.port, kind, count, 4, chunks)
    asked = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=msgspec.json.encode(order),
        capture_output=True,
        cwd=ROOT,
        timeout=2 * PATIENCE,
        check=False,
        start_new_session=True,
    )
    if asked.returncode:
        raise Failure(
            f"{server.name}, {kind}: {asked.stderr.decode(errors='replace').strip().splitlines()[-1]}"
        )
    return msgspec.json.decode(asked.stdout, type=Done)


def _ratios(figures: dict[str, Figures]) -> dict[str, float]:
    if "nginx" not in figures:
        return {}
    ours, theirs = figures["understudy"].cpu, figures["nginx"].cpu
    return {name: median(ours[name]) / median(theirs[name]) for name in ours}
