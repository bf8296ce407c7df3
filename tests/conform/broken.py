"""Servers that break one thing: the ideal server of the kit, with hooks where a wrong one would do otherwise.

    result = made("stream.order", Broken(records=lambda events: events[:-1]))
    assert result.status == "fail"

A table of `Break`s names, for each check, what a server does wrong and what the check must then say.
"""

import copy
import json
from collections import deque
from dataclasses import dataclass

from msgspec.structs import replace

from understudy.conform.answer import decoded
from understudy.conform.checks import CHECKS
from understudy.conform.exchange import Reply, Scene, Trial
from understudy.conform.ideal import Ideal, record
from understudy.conform.stream import records as read_records

SCENE = Scene("ideal", ("ideal", "claude-local-ideal"), 65536, keyed=True, bad_key=True)
BY_ID = {check.id: check for check in CHECKS}


class Broken(Ideal):
    """The ideal server, but for these hooks.

    Args:
        heard: the question as HTTP, changed before anybody looks at it.
        refuse: which questions (HTTP, body) are refused with 400.
        question: the body, changed before it is answered.
        message: body and message -> the message that is answered.
        records: events of a stream -> events, or bytes, that are sent.
        reply: question and reply -> the reply that is sent.
        kept: prompts that are remembered.
    """

    def __init__(
        self,
        *,
        heard=None,
        refuse=None,
        question=None,
        message=None,
        records=None,
        reply=None,
        kept=48,
        window=65536,
    ):
        super().__init__(window)
        self._seen = deque(maxlen=kept)
        self.heard, self.refuse, self.question = heard, refuse, question
        self.said, self.records, self.reply = message, records, reply

    def __call__(self, ask):
        asked = self.heard(ask) if self.heard else ask
        body = decoded(asked.body)
        if self.refuse and self.refuse(asked, body or {}):
            return refusal("this server does not take that")
        if self.question and isinstance(body, dict):
            asked = replace(asked, body=json.dumps(self.question(copy.deepcopy(body))).encode())
        reply = super().__call__(asked)
        if self.records and reply.headers["content-type"].startswith("text/event-stream"):
            events = [json.loads(data) for _, data in read_records(reply.body)]
            sent = [event if isinstance(event, bytes) else record(event) for event in self.records(events)]
            reply = replace(reply, body=b"".join(sent))
        return self.reply(ask, reply) if self.reply else reply

    def _message(self, body, usage):
        message = super()._message(body, usage)
        return self.said(body, message) if self.said else message


def refusal(message, status=400, kind="invalid_request_error"):
    """An error in the API's shape."""
    body = {"type": "error", "error": {"type": kind, "message": message}}
    headers = {"content-type": "application/json", "request-id": "req_x", "x-should-retry": "false"}
    return Reply(status, headers, json.dumps(body).encode())


def trial_of(check, server, scene=SCENE):
    """The check, made against a server that is a function."""
    trial = Trial(check, scene)
    known = {}
    while trial.asks:
        for ask in trial.asks:
            if ask not in known:
                known[ask] = server(ask)
        trial.tell([known[ask] for ask in trial.asks])
    return trial.result


def made(name, server=None, scene=SCENE):
    """The result of the check of this id."""
    return trial_of(BY_ID[name], server or Ideal(), scene)


@dataclass(frozen=True)
class Break:
    """One thing that a server does wrong.

    Attributes:
        check: the id of the check that finds it.
        seen: part of what that check says it saw.
        hooks: of `Broken`.
    """

    check: str
    seen: str
    hooks: dict

    def __str__(self):
        return f"{self.check}: {self.seen}"[:60]


def broken(check, seen, **hooks):
    """A row of a table."""
    return Break(check, seen, hooks)


def is_found(row):
    """The check fails on that server, says so, and passes on the one that does nothing wrong."""
    result = made(row.check, Broken(**row.hooks))
    assert (result.status, row.seen in result.seen) == ("fail", True), result
    assert result.expected
    assert result.asks
    assert made(row.check).status == "pass"


def covers(rows, checks):
    """Every check has a server that it finds."""
    assert sorted({row.check for row in rows}) == sorted(check.id for check in checks)


# ---- small hooks ----


def header(ask, name):
    """A header of a question."""
    return dict(ask.headers).get(name, "")


def headed(when=lambda _ask, _reply: True, **changes):
    """A reply with other headers; None takes one out."""

    def change(ask, reply):
        if not when(ask, reply):
            return reply
        new = {name.replace("_", "-"): value for name, value in changes.items()}
        merged = {**reply.headers, **new}
        return replace(reply, headers={name: value for name, value in merged.items() if value is not None})

    return change


def blocks(body):
    """All blocks of all turns, in a list that can be changed in place."""
    for turn in body.get("messages", []):
        if isinstance(turn.get("content"), list):
            yield from turn["content"]


def has(kind, *, within=False):
    """Whether a question has a block of this kind; `within` looks into results, too."""

    def when(_ask, body):
        found = list(blocks(body))
        if within:
            found += [
                b for block in found if isinstance(block.get("content"), list) for b in block["content"]
            ]
        return any(block.get("type") == kind for block in found)

    return when


def without(kind):
    """A body without the blocks of a kind, in results, too."""

    def change(body):
        for holder in [*body.get("messages", []), *blocks(body)]:
            if isinstance(holder.get("content"), list):
                holder["content"] = [block for block in holder["content"] if block.get("type") != kind]
        return body

    return change


def saying(words, stop="end_turn", when=lambda _body: True):
    """Answers with nothing but these words."""

    def change(body, message):
        if not when(body):
            return message
        return message | {"content": [{"type": "text", "text": words}], "stop_reason": stop}

    return change


def telling(**fields):
    """Messages with these fields."""
    return lambda _body, message: message | fields


def calling(**fields):
    """Messages whose calls have these fields."""

    def change(_body, message):
        message["content"] = [b | fields if b["type"] == "tool_use" else b for b in message["content"]]
        return message

    return change


def using(**numbers):
    """Messages with these numbers of tokens."""
    return lambda _body, message: message | {"usage": message["usage"] | numbers}
