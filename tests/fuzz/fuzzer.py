"""One target under a fuzzer that follows the branches its bytes take: `python fuzzer.py TARGET [libFuzzer options]`.

Runs until its time is over (exit 0), or until bytes are found for which the target raises; they are then shown, and the exit
code is that of a crash. A process of its own, because the fuzzer ends the one it runs in.
"""

import itertools
import re
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["understudy.dialects", "understudy.language", "understudy.stages"]):
    from harness import feed, legal, story

    from understudy.dialects import anthropic, ollama, openai, openai_completions, responses
    from understudy.dialects.anthropic_batches import BATCHES
    from understudy.language.errors import BadRequest, NoTarget, UnderstudyError
    from understudy.language.events import BlockStart, BlockStop, MessageStart, MessageStop, TextDelta
    from understudy.language.message import collect
    from understudy.language.request import Request, Tool
    from understudy.language.target import Model
    from understudy.stages.line import Line

ENGINES = {module.DIALECT.name: module.DIALECT for module in (anthropic, openai, ollama)}
SCHEMA = b'{"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}'
CALLED = "get_time"
MODELS = (
    "qwen3-coder",
    "deepseek-v3.1",
    "gpt-oss",
    "mistral-small",
    "glm-4.6",
    "llama-3.1",
    "gemma-4",
    "kimi-k2",
)
TARGETS: dict[str, Callable[[bytes], None]] = {}


def counted() -> Callable[[str], str]:
    """Ids counted by their kind, so that they do not tell of cuts."""
    counts: dict[str, itertools.count[int]] = defaultdict(itertools.count)
    return lambda prefix: f"{prefix}{next(counts[prefix])}"


def decoded(name: str) -> Callable[[bytes], None]:
    """An engine's stream: however it is cut, it means the same, and it is a legal answer."""
    make = lambda: ENGINES[name].decoder(counted())  # noqa: E731 - a name for what every piece below needs

    def target(data: bytes) -> None:
        whole = story(feed(make, [data]))
        assert story(feed(make, re.findall(rb"(?s).{1,3}", data))) == whole
        assert story(feed(make, data.splitlines(keepends=True))) == whole

    return target


def refused(name: str) -> Callable[[bytes], None]:
    """An engine's error page: whatever it says, it is one of our errors."""

    def target(data: bytes) -> None:
        for status in (400, 404, 413, 429, 500, 503):
            assert isinstance(ENGINES[name].refusal(status, data), UnderstudyError)

    return target


def asked(parse: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """A client's body: it is read, or refused in words; and what is read can be asked of every engine."""

    def target(data: bytes) -> None:
        try:
            request = parse(data)
        except (BadRequest, NoTarget):
            return
        if isinstance(request, Request):
            for engine in ENGINES.values():
                assert engine.render(request)

    return target


def written(data: bytes) -> None:
    """What a model writes: however it is cut, the client gets the same legal answer, and only calls of offered tools."""
    model = MODELS[data[0] % len(MODELS)] if data else MODELS[0]
    text = data[1:].decode(errors="replace")
    first, *others = (answer(model, text, size) for size in (len(text) or 1, 1, 7))
    assert all(other == first for other in others)
    assert all(block.name == CALLED for block in first.blocks if hasattr(block, "name"))


def answer(model: str, text: str, size: int) -> object:
    """The message that the client gets of text that comes in pieces of that size."""
    tools = (Tool(CALLED, schema=SCHEMA),)
    line = Line(Request("m", (), tools=tools), Model(model), "auto", tools=True, raw=True, new_id=counted())
    pieces = [TextDelta(text[at : at + size]) for at in range(0, len(text), size)]
    told = [MessageStart("m"), BlockStart("text"), *pieces, BlockStop(), MessageStop("end_turn")]
    return collect(legal([*line.feed(told), *line.close()]))


@atheris.instrument_func
def planted(data: bytes) -> None:
    """A target with a bug in it: the fuzzer has to find it, or it finds nothing anywhere."""
    if data[:1] == b"{" and data[1:2] == b"}":
        raise ValueError("planted")


TARGETS |= {f"{name}-stream": decoded(name) for name in ENGINES}
TARGETS |= {f"{name}-refusal": refused(name) for name in ENGINES}
TARGETS |= {f"{name}-request": asked(ENGINES[name].parse) for name in ENGINES}
TARGETS |= {
    "anthropic-batch": asked(BATCHES.parse),
    "openai-completion": asked(openai_completions.DIALECT.parse),
    "responses-request": asked(
        lambda body: responses.DIALECT.read(body).exchange((), {}, "resp_1", float).parse(body)
    ),
    "model-text": written,
    "planted": planted,
}

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()
