import pytest

from understudy.language.target import Model, Standing, Target
from understudy.routing.targets import (
    Candidate,
    billions,
    candidates,
    chats,
    codes,
    ids,
    matching,
    outside,
    sees,
)

GB = 10**9


def one(name, engine="e", *, local=True, busy=0, size=0, lacks=()):
    return Candidate(Target(engine, Model(name, size=size)), local=local, in_flight=busy, lacks=lacks)


HERE = [
    one("qwen2.5-coder:32b"),
    one("qwen3:8b"),
    one("qwen3:32b"),
    one("qwq"),
    one("llama3.3:70b"),
    one("codellama:13b"),
    one("meta-llama/Llama-3.1-8B-Instruct", "vllm"),
    one("deepseek-coder-v2:16b"),
    one("mixtral:8x7b"),
    one("dolphin-phi", size=2 * GB),
    one("phi4", size=9 * GB),
    one("mine:latest"),
    one("claude-opus-9", "cloud", local=False),
    one("claude-haiku-9", "cloud", local=False),
    one("gpt-9", "other", local=False),
]
PATTERNS = {
    "qwen3:8b": ["qwen3:8b"],
    "e/qwen3:8b": ["qwen3:8b"],
    "mine": ["mine:latest"],
    "e/mine": ["mine:latest"],
    "vllm/meta-llama/Llama-3.1-8B-Instruct": ["meta-llama/Llama-3.1-8B-Instruct"],
    "vllm/*": ["meta-llama/Llama-3.1-8B-Instruct"],
    "*coder*": ["qwen2.5-coder:32b", "deepseek-coder-v2:16b"],
    "qwen3:[0-9]*b": ["qwen3:32b", "qwen3:8b"],
    "qwen?.5*": ["qwen2.5-coder:32b"],
    "qwen": ["qwen3:32b", "qwen3:8b", "qwq", "qwen2.5-coder:32b"],
    "Qwen": ["qwen3:32b", "qwen3:8b", "qwq", "qwen2.5-coder:32b"],
    "llama": ["llama3.3:70b", "meta-llama/Llama-3.1-8B-Instruct"],
    "deepseek": ["deepseek-coder-v2:16b"],
    "mistral": ["mixtral:8x7b"],
    "phi": ["phi4", "dolphin-phi"],
    "coder": ["qwen2.5-coder:32b", "deepseek-coder-v2:16b", "codellama:13b"],
    "claude": ["claude-opus-9", "gpt-9"],
    "nothing": [],
    "no*thing": [],
    "a+b(": [],
}


@pytest.mark.parametrize(("pattern", "found"), PATTERNS.items(), ids=PATTERNS)
def test_a_pattern_names_targets_the_best_first(pattern, found):
    assert [x.target.model.id for x in matching(pattern, HERE)] == found


def test_the_largest_are_all_in_the_house():
    found = [x.target.model.id for x in matching("largest", HERE)]
    assert found[:4] == ["llama3.3:70b", "mixtral:8x7b", "qwen2.5-coder:32b", "qwen3:32b"]
    assert len(found) == len(HERE) - 3


def test_outside_the_very_model_that_is_asked_for_is_taken():
    assert [str(x.target) for x in outside(HERE, "claude-haiku-9")] == ["cloud/claude-haiku-9", "other/gpt-9"]
    assert [str(x.target) for x in matching("claude", HERE, "gpt-9")] == [
        "cloud/claude-opus-9",
        "other/gpt-9",
    ]


def test_in_the_house_comes_before_outside_and_idle_before_busy():
    same = [one("m", "far", local=False), one("m", "busy", busy=2), one("m", "idle", busy=1)]
    assert [x.target.engine for x in matching("m", same)] == ["idle", "busy", "far"]


SIZES = {
    "qwen2.5-coder:32b": 32,
    "Qwen3-30B-A3B": 30,
    "mixtral:8x7b": 56,
    "smollm:270m": 0.27,
    "Qwen2.5-0.5B-Instruct": 0.5,
    "llama3.2:1b-instruct-q4_0": 1,
    "gpt-4": 0,
    "qwen3:latest": 0,
    "b32": 0,
    "a3b": 0,
    "phi-4-mini-3.8b": 3.8,
    "model-7bit": 0,
}


@pytest.mark.parametrize(("name", "size"), SIZES.items(), ids=SIZES)
def test_the_size_is_in_the_name(name, size):
    assert billions(Model(name)) == pytest.approx(size)


def test_the_size_on_disk_speaks_where_the_name_does_not():
    assert billions(Model("m", size=6 * GB)) == pytest.approx(10)
    assert billions(Model("m:7b", size=60 * GB)) == 7


@pytest.mark.parametrize(
    ("name", "for_code", "talks"),
    [
        ("qwen3-coder", True, True),
        ("codestral", True, True),
        ("Devstral-Small", True, True),
        ("starcoder2", True, True),
        ("code-llama", True, True),
        ("qwen3", False, True),
        ("nomic-embed-text", False, False),
        ("bge-m3", False, False),
        ("whisper-large", False, False),
        ("llama-guard3", False, False),
        ("jina-reranker", False, False),
    ],
)
def test_what_a_name_tells(name, for_code, talks):
    assert (codes(Model(name)), chats(Model(name))) == (for_code, talks)


@pytest.mark.parametrize(
    ("candidate", "seen"),
    [
        (one("llama3.2-vision:11b"), True),
        (one("qwen2.5-vl:7b"), True),
        (one("Qwen3-VL-8B"), True),
        (one("llava"), True),
        (one("gemma3:27b"), True),
        (one("gemma-3-27b"), True),
        (one("qwen3"), None),
        (one("vllm-model"), None),
        (one("qwen2.5-vl:7b", lacks=("images",)), False),
        (one("qwen3", lacks=("tools", "images")), False),
    ],
)
def test_who_sees_pictures(candidate, seen):
    assert sees(candidate) is seen


def test_candidates_have_what_matters():
    standing = (
        Standing("a", "ollama", "up", (Model("m", lacks=("tools",)),), 3, lacks=("images",)),
        Standing("b", "vllm", "down", (Model("n", lacks=("thinking",)),), local=False),
        Standing("c", "vllm", "up"),
    )
    assert candidates(standing) == [
        Candidate(Target("a", standing[0].models[0]), True, True, 3, ("images", "tools")),
        Candidate(Target("b", standing[1].models[0]), False, False, 0, ("thinking",)),
    ]


def test_ollama_takes_a_name_without_its_tag():
    assert set(ids(one("llama:latest", "x"))) == {"llama:latest", "x/llama:latest", "llama", "x/llama"}


def test_what_its_engine_says_counts_before_its_name():
    assert chats(Model("plain"))
    assert not chats(Model("plain", lacks=("chat",)))
