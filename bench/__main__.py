"""The command: `python -m bench [--quick] [--rounds N] [--json FILE]`."""

import argparse
import sys
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from bench.measure import GOALS, QUICK, Failure, Figures, Plan, Report, run

INTERRUPTED = 130


def main() -> int:
    """Measure and show; gives the exit status."""
    parser = argparse.ArgumentParser(prog="bench", description="CPU and memory per request, beside nginx.")
    parser.add_argument("--quick", action="store_true", help="fewer requests and rounds: half a minute")
    parser.add_argument("--rounds", type=int, help="how often both take their turn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    options = parser.parse_args()
    plan = QUICK if options.quick else Plan()
    if options.rounds:
        plan = msgspec.structs.replace(plan, rounds=options.rounds)
    try:
        report = run(plan, _progress)
    except Failure as error:
        _progress("")
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _progress("")
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    _progress("")
    show(report, Console())
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return 0


def _progress(sentence: str) -> None:
    """One line that is written over, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{sentence}", end="", file=sys.stderr, flush=True)


def show(report: Report, console: Console) -> None:
    """The table."""
    ours, theirs = report.figures["understudy"], report.figures.get("nginx")
    table = Table(
        "",
        "understudy",
        "nginx",
        "ratio",
        "goal",
        title="CPU of the process in the middle; medians of rounds",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for name, rounds in ours.cpu.items():
        other = f"{median(theirs.cpu[name]):.3f} s" if theirs else "-"
        ratio = f"{report.ratios[name]:.2f}" if theirs else "-"
        goal = f"{GOALS[name]:g}" if name in GOALS else ""
        table.add_row(name, f"{median(rounds):.3f} s", other, ratio, goal)
    table.add_row("peak memory", _megabytes(ours), _megabytes(theirs))
    table.add_row("start to ready, CPU", *(_seconds(row, "start_cpu") for row in (ours, theirs)))
    table.add_row("start to ready, wall", *(_seconds(row, "start_wall") for row in (ours, theirs)))
    console.print(table)
    console.print(
        f"Bodies of about 100 KB, answers of 100 chunks; {report.one_by_one:.0%} of the paced chunks came alone. "
        "nginx with its own defaults, proxy_buffering off: it keeps such a body in a file for a moment."
    )
    if theirs is None:
        console.print("nginx is not installed: there is nothing to compare with.")


def _megabytes(figures: Figures | None) -> str:
    return f"{figures.memory / 2**20:.1f} MB" if figures else "-"


def _seconds(figures: Figures | None, field: str) -> str:
    return f"{median(getattr(figures, field)):.3f} s" if figures else "-"


if __name__ == "__main__":
    sys.exit(main())
