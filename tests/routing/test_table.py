"""The table: what is in it, and what it costs to ask. What it says is tested with `tasks.guess`."""

import subprocess
import sys
import time

import numpy as np
import pytest

from understudy.language.routes import TASKS
from understudy.routing.table import load, probabilities


def test_the_order_of_the_tasks_is_the_tables():
    found = load()
    assert found.weights.shape[1] == len(found.bias) == len(TASKS)
    assert found.weights.dtype == np.int8


def test_the_table_is_loaded_once():
    assert load() is load()


@pytest.mark.parametrize(("size", "limit"), [(2_000, 0.003), (200_000, 0.01)])
def test_it_is_quick(size, limit):
    text = ("Explain why the sorted list is empty, then fix it. 请解释并修复。 " * (size // 50))[:size]
    probabilities(text)
    times = []
    for _ in range(50):
        started = time.process_time()
        probabilities(text)
        times.append(time.process_time() - started)
    assert min(times) < limit


def test_the_chances_add_up():
    assert sum(probabilities("anything")) == pytest.approx(1, abs=1e-5)


def test_numpy_waits_for_the_first_text():
    """It is a quarter of the memory of a gateway that was asked nothing yet."""
    code = "import sys, understudy.app, understudy.cli.run; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
