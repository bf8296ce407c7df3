"""`understudy chat`: one question, the answer as it comes, and what it took. A smoke test for the eye."""

import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from http.client import HTTPResponse
from typing import TYPE_CHECKING

import click
import msgspec

from understudy.cli.visit import ANSWER_PATIENCE, DEFAULT_URL, OK, Gateway, failure
from understudy.config import visitor
from understudy.language.errors import BadRequest

if TYPE_CHECKING:
    from understudy.language.events import Event, Usage

QUESTION = "Who are you? Answer in one sentence."
AUTO = "auto"
PIECE = 65536
MEASURABLE = 0.2
"""Seconds an answer must last before a rate says anything."""

EXAMPLES = """\b
Examples:
  understudy chat                                         asks who is there
  understudy chat "write a haiku about rain"
  understudy chat --model qwen2.5-coder:32b "hello"
  git diff | understudy chat -                            the question from a pipe
"""


@click.command(epilog=EXAMPLES)
@click.argument("text", default=QUESTION)
@click.option("--model", default=AUTO, help="Default: the best that is served.")
@click.option("--url", help=f"The gateway's address; default $UNDERSTUDY_URL, else {DEFAULT_URL}.")
@click.option("--max-tokens", type=click.IntRange(1), default=2048, show_default=True, help="Longest answer.")
def chat(text: str, model: str, url: str | None, max_tokens: int) -> None:
    """Ask a question and watch the answer.

    TEXT is the question; - reads it from standard input.
    """
    about = visitor()
    question = sys.stdin.read() if text == "-" else text
    if not question.strip():
        raise BadRequest("there is no question: standard input was empty")
    body = {
        "model": model,
        "max_tokens": max_tokens,
        "stream": True,
        "messages": [{"role": "user", "content": question}],
    }
    gateway = Gateway(url or about.url or DEFAULT_URL, about.key)
    began = time.perf_counter()
    with gateway.ask("POST", "/v1/messages", msgspec.json.encode(body), ANSWER_PATIENCE) as response:
        if response.status != OK:
            raise failure(response, gateway.url)
        usage, first = show(decoded(response), began)
        target = response.headers.get("x-understudy-target", "")
        notice = response.headers.get("x-understudy-notice", "")
    _sum_up(usage, target, first, time.perf_counter() - began)
    if notice:
        from understudy.cli.console import warn

        warn(notice)


def decoded(response: HTTPResponse) -> "Iterator[Event]":
    """The events of a streamed answer, as they come."""
    from understudy.dialects import dialect

    numbers = itertools.count(1)
    decoder = dialect("anthropic").decoder(lambda prefix: f"{prefix}{next(numbers)}")
    while data := response.read1(PIECE):
        yield from decoder.feed(data)
    yield from decoder.close()


def show(events: "Iterable[Event]", began: float) -> "tuple[Usage, float]":
    """Write text as it comes, thinking dim; gives the usage, and seconds to the first word.

    Raises:
        UnderstudyError: the answer broke off.
    """
    from understudy.language.events import Failed, MessageStop, TextDelta, ThinkingDelta, Usage

    usage, first, thinking = Usage(0, 0), 0.0, False
    for event in events:
        if isinstance(event, Failed):
            click.echo()
            raise event.error
        if isinstance(event, MessageStop):
            usage = event.usage
        if not isinstance(event, TextDelta | ThinkingDelta):
            continue
        first = first or time.perf_counter() - began
        if thinking and isinstance(event, TextDelta):
            click.echo()
        thinking = isinstance(event, ThinkingDelta)
        click.secho(event.text, nl=False, dim=thinking or None)
        sys.stdout.flush()
    click.echo()
    return usage, first


def _sum_up(usage: "Usage", target: str, first: float, seconds: float) -> None:
    from understudy.cli.console import say

    cached = usage.cached_tokens
    told = cached is not None and usage.input_tokens  # an engine may not count what it had in its cache
    share = f" ({(cached or 0) / usage.input_tokens:.0%} from the cache)" if told else ""
    speaking = seconds - first
    rate = f", {usage.output_tokens / speaking:.0f} tokens/s" if first and speaking > MEASURABLE else ""
    parts = [
        target or "answered",
        f"{usage.input_tokens:,} tokens in{share}",
        f"{usage.output_tokens:,} out",
        f"first word after {first:.1f} s",
        f"{seconds:.1f} s in all{rate}",
    ]
    say(" | ".join(parts), "dim")
