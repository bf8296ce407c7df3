import re

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from understudy.observe import metrics

ALL = {name: value for name, value in vars(metrics).items() if isinstance(value, Counter | Gauge | Histogram)}
LABELS = {
    "WEB_CALLS": ("job", "outcome"),
    "REQUESTS": ("dialect", "mode", "outcome"),
    "PREFIX_TURNS": ("prefix",),
    "TOOL_CALLS": ("outcome",),
    "TOOL_REPAIRS": ("rule",),
    "TOOL_RETRIES_FAILED": ("error",),
    "FAILOVERS": ("error",),
    "PICTURES": ("outcome",),
    "DOCUMENTS": ("outcome",),
    "ROUTES": ("task", "by"),
    "SWITCHES": ("reason",),
    "LOST_PREFIX": ("reason",),
    "SPENT": ("task",),
    "SAVED": ("task",),
    "BATCH_REQUESTS": ("outcome",),
    "BATCH_AGAIN": ("reason",),
}


def test_the_exposition_can_be_read_and_has_every_metric():
    families = {family.name for family in text_string_to_metric_families(metrics.exposition().decode())}
    assert len(ALL) >= 10
    assert {metric._name for metric in ALL.values()} == {n for n in families if not n.endswith("_created")}


@pytest.mark.parametrize("name", ALL)
def test_names_labels_and_help(name):
    metric = ALL[name]
    assert re.fullmatch(r"understudy_[a-z_]+", metric._name)
    assert metric._documentation.endswith(".")
    assert metric._labelnames == LABELS.get(name, ())
    if isinstance(metric, Histogram):
        assert metric._name.endswith("_seconds")


def test_no_label_is_open_to_callers():
    for labels in LABELS.values():
        assert not {"model", "key", "session", "user", "path", "target"} & {*labels}


def test_a_count_is_shown():
    before = metrics.OUTPUT_TOKENS._value.get()
    metrics.OUTPUT_TOKENS.inc(7)
    assert f"understudy_output_tokens_total {before + 7}".encode() in metrics.exposition()
