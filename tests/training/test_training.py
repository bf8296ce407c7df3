"""How the table is made: templates, words, the fit, the bytes; and one whole run on a handful of prompts."""

import json
import random
import sys

import numpy as np
import pytest

from training import __main__ as command
from training import fitting, lexicon, measure, packing, reading
from training.reading import Prompt
from understudy.language.routes import TASKS
from understudy.routing import grams, traits
from understudy.routing.table import unpacked


def prompt(text, task, source="s", lang="en", accept=()):
    return Prompt(text, lang, task, [task, *accept], source, "MIT")


SOME = [
    *(prompt(f"fix the bug in module {word}", "code", f"s{i % 3}") for i, word in enumerate("abcdefghi")),
    *(
        prompt(f"write a poem about the {word}", "creative", f"s{i % 3}")
        for i, word in enumerate(("sea", "moon", "rain", "cat"))
    ),
    *(
        prompt(f"什么是{word}", "general", f"s{i % 3}", "zh")
        for i, word in enumerate(("水", "火", "风", "雨"))
    ),
]


@pytest.fixture(scope="module")
def some():
    return fitting.matrix([p.text for p in SOME], lexicon.sense())


# --- prompts


WORDS = {"x": ["one"], "y": ["{x} two"]}
FILLED = [
    ("a {x} b", "a one b"),
    ("{y}", "one two"),
    ("{{x}|{x}}", "one"),
    ("{only}", "{only}"),
    ("{a|a}", "a"),
    ("{|}x", "x"),
    ("open { brace", "open { brace"),
    ("f(x) = {{d}x}", "f(x) = {{d}x}"),
]


@pytest.mark.parametrize(("template", "expected"), FILLED)
def test_templates_are_filled(template, expected):
    assert reading.fill(template, WORDS, random.Random(1)) == expected  # noqa: S311 - no secret is drawn


def test_own_prompts_are_the_same_each_time():
    first = reading.own()
    assert first == reading.own()
    assert (
        {p.task for p in first if p.lang == "en"} == {p.task for p in first if p.lang == "zh"} == set(TASKS)
    )
    assert all(p.task in p.accept for p in first)
    assert len({p.text for p in first}) > 0.9 * len(first)


def test_a_text_may_hold_a_line_break(tmp_path):
    row = {"text": "one\ntwo", "lang": "en", "task": "code", "accept": ["code"], "source": "s", "lic": "MIT"}
    broken = json.dumps(row).replace("\\n", "\n")
    (tmp_path / "train.jsonl").write_text(f"{broken}\n\n{json.dumps(row)}\n")
    assert [p.text for p in reading.read(tmp_path, "train")] == ["one\ntwo", "one\ntwo"]


# --- words


FORMS = [
    ("translate", {"translate", "translates", "translated", "translating"}),
    ("fix", {"fix"}),
    ("story", {"story", "stories"}),
    ("fixes it", {"fixes it"}),
    ("翻译", {"翻译"}),
    ("class", {"classes"}),
]


@pytest.mark.parametrize(("word", "expected"), FORMS)
def test_forms(word, expected):
    assert expected <= set(lexicon.forms(word))


def test_a_word_belongs_to_its_first_group_and_single_letters_to_none():
    places, groups = lexicon.keys("[one]\nfix, c\n# note\n[two]\nfix, 床前明月光, 古诗")
    assert groups.tolist().count(1) == 1
    assert groups.tolist().count(2) == 1
    assert len(places) == 2
    assert (np.diff(places.astype(int)) > 0).all()


def test_there_is_room_for_every_group():
    assert len(lexicon.groups(lexicon.WORDS.read_text(encoding="utf-8"))) < traits.GROUPS


def test_the_classifier_finds_the_words():
    sense = lexicon.sense()
    assert len(traits.senses(grams.read("请把这句话翻译成英文"), sense)) > 3


# --- the fit


def test_a_matrix_has_what_the_classifier_sums(some):
    fields = traits.fields(grams.read(SOME[0].text), lexicon.sense())
    mine = some.prompts == 0
    assert sorted(some.rows[mine]) == sorted(np.concatenate(fields))
    assert set(some.values[mine]) == {np.float32(share) for share in traits.shares(fields) if share}


def test_the_fit_learns(some):
    weights = fitting.fit(some, fitting.targets(SOME), fitting.importance(SOME))
    guesses = [TASKS[i] for i in weights.scores(some).argmax(axis=1)]
    assert guesses == [p.task for p in SOME]
    again = fitting.fit(some, fitting.targets(SOME), fitting.importance(SOME))
    assert np.array_equal(weights.rows, again.rows)


def test_the_slope_is_the_loss_s(some):
    loss = fitting._loss(some, fitting.targets(SOME), fitting.importance(SOME)[:, None], traits.ROWS)
    chance = np.random.default_rng(1)
    point = chance.normal(size=(traits.ROWS + 1) * len(TASKS)) * 0.1
    way = np.zeros_like(point)
    way[np.concatenate([some.rows[:40] * len(TASKS), [len(point) - 1]])] = 1
    _, slope = loss(point)
    step = 1e-2
    measured = (loss(point + step * way)[0] - loss(point - step * way)[0]) / (2 * step)
    assert slope @ way == pytest.approx(measured, rel=1e-2)


def test_targets_share_a_little():
    goals = fitting.targets([prompt("x", "math", accept=["reasoning"]), prompt("x", "code")])
    smooth = fitting.SMOOTH
    assert goals[0, TASKS.index("math")] == pytest.approx(1 - smooth / 2)
    assert goals[0, TASKS.index("reasoning")] == pytest.approx(smooth / 2)
    assert goals[1, TASKS.index("code")] == 1
    assert goals.sum(axis=1) == pytest.approx([1, 1])


def test_a_large_source_does_not_drown_a_small_one():
    counts = fitting.importance([*[prompt("x", "code", "large")] * 90, *[prompt("x", "code", "small")] * 10])
    assert counts.sum() == pytest.approx(1)
    assert counts[-1] > counts[0]


def test_leaving_out_keeps_the_rest(some):
    chosen = np.array([p.task == "creative" for p in SOME])
    part = some.only(chosen)
    assert part.size == chosen.sum() == 4
    assert set(part.prompts) == set(range(4))
    assert (np.diff(part.prompts) >= 0).all()


# --- the bytes


def test_what_is_packed_is_what_is_loaded(some):
    weights = fitting.fit(some, fitting.targets(SOME), fitting.importance(SOME))
    data = packing.packed(weights, 2.0)
    assert data == packing.packed(weights, 2.0)
    table = unpacked(data)
    largest = np.abs(weights.rows).max() / 2
    assert np.abs(table.weights * table.scale - weights.rows / 2).max() < largest * 0.02
    assert table.bias == pytest.approx(weights.bias / 2)
    assert np.array_equal(table.sense, lexicon.sense())


# --- the measure


def asked():
    prompts = [prompt("a", "code"), prompt("b", "math", accept=["code"]), prompt("c", "general", lang="zh")]
    scores = np.zeros((3, len(TASKS)))
    scores[:, TASKS.index("code")] = 2.0
    return measure.Asked(prompts, scores)


def test_strict_and_lenient():
    assert measure.shares(asked()) == "0.333 / 0.667"
    precision, recall, both = measure.f1(asked().prompts, asked().guesses(), "code")
    assert (precision, recall, both) == (pytest.approx(1 / 3), 1, pytest.approx(0.5))


def test_a_temperature_makes_confidence_honest():
    prompts = [prompt(str(i), "code" if i % 4 else "math") for i in range(400)]
    scores = np.full((400, len(TASKS)), -99.0)
    scores[:, TASKS.index("code")], scores[:, TASKS.index("math")] = 3.0, 0.0
    found = measure.Asked(prompts, scores)
    sure = measure.confidences(found, measure.temperature(found)).max(axis=1)
    assert sure[0] == pytest.approx(0.75, abs=0.03)


def test_a_source_is_asked_about_by_a_fit_that_has_not_seen_it(some, monkeypatch):
    seen = []
    fit = measure.fit
    monkeypatch.setattr(
        measure, "fit", lambda data, goals, counts: seen.append(data.size) or fit(data, goals, counts)
    )
    found = measure.left_out(some, SOME, ["s0", "s1"], lambda _line: None)
    sizes = [sum(p.source == source for p in SOME) for source in ("s0", "s1")]
    assert seen == [len(SOME) - size for size in sizes]
    assert [p.source for p in found.prompts] == ["s0"] * sizes[0] + ["s1"] * sizes[1]


def test_one_run_makes_the_table_and_its_report(tmp_path, monkeypatch):
    rows = [json.dumps({name: getattr(p, name) for name in p.__struct_fields__}) for p in SOME]
    (tmp_path / "train.jsonl").write_text("\n".join(rows[:12]))
    (tmp_path / "dev.jsonl").write_text("\n".join(rows[12:]))
    monkeypatch.setattr(command.reading, "own", lambda: [prompt("fix the bug", "code", "own-en")] * 4)
    table, report = tmp_path / "t.npz", tmp_path / "r.md"
    monkeypatch.setattr(
        sys, "argv", ["training", str(tmp_path), "--table", str(table), "--report", str(report)]
    )
    command.main()
    assert unpacked(table.read_bytes()).weights.shape == (traits.ROWS, len(TASKS))
    text = report.read_text()
    assert "Each source left out once (17 prompts)" in text
    assert "| code | 9 |" in text
