"""Make the table, and measure it: `make train DATA=FOLDER`, or `python -m training FOLDER`.

Writes `understudy/routing/tasks.npz` and `training/REPORT.md`. Takes some minutes; the same prompts give the same bytes.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from training import fitting, lexicon, measure, packing, reading
from training.reading import OWN, Prompt
from understudy.language.routes import TASKS
from understudy.routing import table

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "understudy" / "routing" / table.TABLE
REPORT = ROOT / "training" / "REPORT.md"


def main() -> None:
    """Read, measure, fit, write."""
    arguments = _arguments()
    train, dev, own = (
        reading.read(arguments.data, "train"),
        reading.read(arguments.data, "dev"),
        reading.own(),
    )
    prompts = [*train, *dev, *own]
    _tell(f"{len(train)} + {len(dev)} prompts, {len(own)} of our own")
    data = fitting.matrix([prompt.text for prompt in prompts], lexicon.sense())
    held = np.zeros(len(prompts), bool)
    held[len(train) : len(train) + len(dev)] = True
    on_dev = measure.outside(data, prompts, held)
    _tell(f"dev: {measure.shares(on_dev)}")
    sources = dict.fromkeys(prompt.source for prompt in (*train, *dev))
    asked = measure.left_out(data, prompts, sources, _tell)
    by = measure.temperature(asked)
    weights = fitting.fit(data, fitting.targets(prompts), fitting.importance(prompts))
    table = packing.packed(weights, by)
    arguments.table.write_bytes(table)
    arguments.report.write_text(_report(prompts, on_dev, asked, by, table), encoding="utf-8")
    _tell(f"left out: {measure.shares(asked)}; {len(table)} bytes, {sha256(table).hexdigest()[:12]}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with train.jsonl and dev.jsonl")
    parser.add_argument("--table", type=Path, default=TABLE, help="where the table goes")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the report goes")
    return parser.parse_args()


def _report(
    prompts: Sequence[Prompt], on_dev: measure.Asked, asked: measure.Asked, by: float, table: bytes
) -> str:
    halves = [asked.only(lambda prompt, lang=lang: prompt.lang == lang) for lang in ("en", "zh")]
    counts = Counter((prompt.task, prompt.lang) for prompt in prompts if prompt.source.startswith(OWN))
    ours = ", ".join(f"{task} {counts[task, 'en']} / {counts[task, 'zh']}" for task in TASKS)
    return "\n".join(
        (
            "# The table of tasks: what it is made of, and how good it is",
            "",
            "Written by `make train`. [DATA.md](DATA.md) tells of prompts, [routing.md](../docs/routing.md) of all else.",
            "Strict: the guess is the source's own task. Lenient: it is one that a sane judge would also take.",
            "Every number is of prompts whose source the fit had not seen. No source has the task `chinese`.",
            "",
            f"- Each source left out once ({len(asked.prompts)} prompts): **{measure.shares(asked)}**.",
            f"- The English ones of them {measure.shares(halves[0])}, the Chinese ones {measure.shares(halves[1])}.",
            f"- `dev`, all of its sources left out ({len(on_dev.prompts)} prompts): **{measure.shares(on_dev)}**.",
            f"- The table: {len(table):,} bytes, sha256 `{sha256(table).hexdigest()}`; made of all prompts, `dev` included.",
            f"- Temperature {by:.2f}. Seed of our own prompts: 1.",
            f"- Our own prompts, English / Chinese: {ours}.",
            "",
            "## By task and language, each source left out",
            "",
            measure.by_task(asked),
            "",
            "## `dev`, by task and language",
            "",
            measure.by_task(on_dev),
            "",
            "## By source",
            "",
            measure.by_source(asked),
            "",
            "## By confidence",
            "",
            measure.by_confidence(asked, by),
            "",
        )
    )


def _tell(line: str) -> None:
    print(f"{time.process_time():6.0f} s  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
