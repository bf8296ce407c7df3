"""/v1/messages/batches: many questions in one body, and their answers as lines of JSON.

https://docs.anthropic.com/en/api/creating-message-batches and its neighbours. As there, only what makes the batch itself is
checked when it comes; what is wrong with one request becomes that request's result.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from understudy.dialects.anthropic_wire import problem
from understudy.language.batch import Batch, Entry, Result
from understudy.language.errors import BadRequest

MOST_REQUESTS = 100_000
CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)

# ---- wire structs ----


class _Asked(Struct, gc=False):
    custom_id: str
    params: Raw


class _NewBatch(Struct):
    requests: list[_Asked]


class _Named(Struct, gc=False):
    model: str


class _Counts(Struct):
    processing: int
    succeeded: int
    errored: int
    canceled: int
    expired: int


class _Batch(Struct, tag="message_batch"):
    id: str
    processing_status: Literal["in_progress", "canceling", "ended"]
    request_counts: _Counts
    created_at: str
    expires_at: str
    cancel_initiated_at: str | None
    ended_at: str | None
    archived_at: str | None
    results_url: str | None


class _Page(Struct):
    data: list[_Batch]
    has_more: bool
    first_id: str | None
    last_id: str | None


class _Succeeded(Struct, tag="succeeded"):
    message: Raw


class _Errored(Struct, tag="errored"):
    error: Raw


class _Canceled(Struct, tag="canceled"):
    pass


class _Expired(Struct, tag="expired"):
    pass


class _Line(Struct):
    custom_id: str
    result: _Succeeded | _Errored | _Canceled | _Expired


class _Deleted(Struct, tag="message_batch_deleted"):
    id: str


_NEW = msgspec.json.Decoder(_NewBatch)
_NAMED = msgspec.json.Decoder(_Named)
_json = msgspec.json.Encoder().encode


class AnthropicBatches:
    """See `BatchDialect`."""

    results_type = "application/x-jsonl"

    # ---- parse ----

    def parse(self, body: bytes) -> list[Entry]:
        """The requests of a new batch."""
        requests = _read(body)
        if not requests:
            raise BadRequest("requests: at least one request is required")
        if len(requests) > MOST_REQUESTS:
            raise BadRequest(f"requests: {len(requests)} requests; at most {MOST_REQUESTS} make a batch")
        seen: set[str] = set()
        for number, asked in enumerate(requests):
            _check(number, asked, seen)
            seen.add(asked.custom_id)
        return [Entry(asked.custom_id, _model(asked.params), bytes(asked.params)) for asked in requests]

    # ---- answers ----

    def batch(self, batch: Batch, results_url: str) -> bytes:
        """A batch, as it stands."""
        return _json(_shown(batch, results_url))

    def page(self, batches: Sequence[Batch], results_urls: Sequence[str], *, more: bool) -> bytes:
        """Batches, the newest first."""
        rows = [_shown(batch, url) for batch, url in zip(batches, results_urls, strict=True)]
        first, last = (rows[0].id, rows[-1].id) if rows else (None, None)
        return _json(_Page(rows, more, first, last))

    def deleted(self, batch_id: str) -> bytes:
        """That batch is gone."""
        return _json(_Deleted(batch_id))

    def result(self, result: Result) -> bytes:
        """One line."""
        payload = Raw(result.payload or b"null")
        match result.outcome:
            case "succeeded":
                said: _Succeeded | _Errored | _Canceled | _Expired = _Succeeded(payload)
            case "errored":
                said = _Errored(payload)
            case "canceled":
                said = _Canceled()
            case _:
                said = _Expired()
        return _json(_Line(result.custom_id, said)) + b"\n"


def _read(body: bytes) -> list[_Asked]:
    try:
        if not body.isascii():
            str(body, "utf-8")  # msgspec does not look into strings that it only skips
        return _NEW.decode(body).requests
    except msgspec.ValidationError as error:
        raise problem(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The request body is not valid JSON: {error}") from None
    except RecursionError:
        raise BadRequest("The request body is nested too deeply") from None


def _check(number: int, asked: _Asked, seen: set[str]) -> None:
    where = f"requests.{number}"
    if not CUSTOM_ID.fullmatch(asked.custom_id):
        raise BadRequest(f"{where}.custom_id: it has to be 1 to 64 letters of a-z, A-Z, 0-9, _ and -")
    if asked.custom_id in seen:
        raise BadRequest(f"{where}.custom_id: {asked.custom_id!r} names an earlier request of this batch")
    if bytes(memoryview(asked.params)[:1]) != b"{":
        raise BadRequest(f"{where}.params: Expected object")


def _model(params: Raw) -> str:
    try:
        return _NAMED.decode(params).model
    except msgspec.DecodeError:  # said when the request is asked
        return ""


def _shown(batch: Batch, results_url: str) -> _Batch:
    """Outcomes are counted when the batch has ended, and results are there until it is archived."""
    ended = batch.ended_at is not None
    counts = _Counts(batch.total, 0, 0, 0, 0)
    if ended:
        counts = _Counts(0, batch.succeeded, batch.errored, batch.canceled, batch.expired)
    return _Batch(
        batch.id,
        "ended" if ended else "in_progress" if batch.cancel_initiated_at is None else "canceling",
        counts,
        _time(batch.created_at),
        _time(batch.expires_at),
        _maybe(batch.cancel_initiated_at),
        _maybe(batch.ended_at),
        _maybe(batch.archived_at),
        results_url if ended and batch.archived_at is None else None,
    )


def _time(seconds: float) -> str:
    """RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _maybe(seconds: float | None) -> str | None:
    return None if seconds is None else _time(seconds)


BATCHES = AnthropicBatches()
"""As `dialects.batch_dialect` finds it."""
