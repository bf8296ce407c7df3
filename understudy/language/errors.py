"""The error tree: whose fault it was, what it means in HTTP, and what to do next.

    UnderstudyError
      x BadRequest        400  caller's fault
          - BadField      400    one field is to blame, and is named apart from the sentence
          - PromptTooLong 400    the window is smaller than the prompt
          - Unauthorized  401
          - Forbidden     403    a web page's Origin that is not ours
          - TooLarge      413
          - Misdirected   421    a Host that is not ours
          - Refused       429    over a limit of this caller
      x NoTarget          404  no engine has the model
      x EngineError       502  engine's fault
          - EngineBusy    503    may be tried elsewhere
          - EngineLost    502    may be tried elsewhere until the first event
          - EngineTimeout 504
          - EngineRefused 400    the engine says that the request is wrong
              - EngineBlind 400  its model cannot see the pictures in it
          - EngineDenied  502    the engine refuses our own key: the settings must be mended
      x Bug               500  ours

Before the first event of an answer an error is an exception, and the next target of the plan may be tried.
After it, it is a `Failed` event and the answer ends. How an error looks on the wire is each dialect's business.
"""

from typing import ClassVar


class UnderstudyError(Exception):
    """Anything that ends a request. The message is shown to the caller: it says what is wrong and what to do.

    Attributes:
        status: HTTP status.
        kind: the error type in Anthropic's terms (https://docs.anthropic.com/en/api/errors).
        retryable: whether another engine, or the same one later, may answer.
        retry_after: seconds the caller should wait, where known.
    """

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "api_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class BadRequest(UnderstudyError):
    """The caller sent something that cannot be answered; the message names the field."""

    status = 400
    kind = "invalid_request_error"


class BadField(BadRequest):
    """One field is to blame. Dialects that have a place for it name the field apart from the message.

    Attributes:
        field: its path, as in `input[0].content`.
        code: a word for programs, where the dialect has one.
    """

    def __init__(self, field: str, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.code = code


class PromptTooLong(BadRequest):
    """The prompt does not fit the window. Claude Code reads both numbers and compacts."""

    def __init__(self, tokens: int, maximum: int) -> None:
        super().__init__(f"prompt is too long: {tokens} tokens > {maximum} maximum")
        self.tokens = tokens
        self.maximum = maximum


class Unauthorized(BadRequest):
    """No key, or a wrong one. Never retried: the key will not improve."""

    status = 401
    kind = "authentication_error"


class Forbidden(BadRequest):
    """A browser page of another origin asked."""

    status = 403
    kind = "permission_error"


class TooLarge(BadRequest):
    """The body is over the limit."""

    status = 413
    kind = "request_too_large"


class Misdirected(BadRequest):
    """The Host header names somebody else: DNS rebinding, or a proxy set up wrongly."""

    status = 421


class Refused(BadRequest):
    """Over a limit; come back later."""

    status = 429
    kind = "rate_limit_error"
    retryable = True


class NoTarget(UnderstudyError):
    """No engine has the model, or the path does not exist."""

    status = 404
    kind = "not_found_error"


class EngineError(UnderstudyError):
    """The engine answered with something that is no answer."""

    status = 502


class EngineBusy(EngineError):
    """The engine has no room now, or is down or still loading."""

    status = 503
    kind = "overloaded_error"
    retryable = True


class EngineLost(EngineError):
    """The connection failed or broke before the answer was finished."""

    retryable = True


class EngineTimeout(EngineError):
    """The engine did not answer in time."""

    status = 504
    kind = "timeout_error"
    retryable = True


class EngineRefused(EngineError):
    """The engine says that the request itself is wrong (4xx): another try would fail the same way."""

    status = 400
    kind = "invalid_request_error"


class EngineBlind(EngineRefused):
    """The engine's model cannot see pictures, and the question holds some. Another model may, or words in their place."""

    retryable = True


class EngineDenied(EngineError):
    """The engine refuses the key that our settings give for it. Asking again will not mend them."""


class Bug(UnderstudyError):
    """A fault of understudy itself. The log has the trace; the caller gets the request id."""
