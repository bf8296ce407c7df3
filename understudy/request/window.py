"""Makes a request fit the model's window before the engine finds that it does not."""

from understudy.language.errors import PromptTooLong
from understudy.language.request import Request, change

MARGIN = 16
"""Tokens left free: templates add a few after the last message."""
LEAST = 256
"""Tokens an answer should have at least. With fewer it is cut, and Claude Code asks again instead of compacting."""


def surely_fits(request: Request, upper_bound: int, window: int) -> bool:
    """Whether even the most tokens the prompt can have leave room for `max_tokens`: then nobody has to count."""
    wanted = request.sampling.max_tokens or 0
    return upper_bound + wanted + MARGIN <= window


def fitted(
    request: Request, prompt_tokens: int, window: int, default_max: int, *, doubt: float = 0.0
) -> Request:
    """The request with `max_tokens` set, and no larger than what the window leaves.

    Args:
        request: the question.
        prompt_tokens: its prompt, counted or estimated.
        window: the model's, in tokens; 0 where unknown: nothing is clamped then.
        default_max: for clients that named no limit.
        doubt: by how much of itself an estimate may be too high: within it the engine has the last word. 0 for a count.

    Raises:
        PromptTooLong: too little is left for an answer.
    """
    wanted = request.sampling.max_tokens or default_max
    if window:
        least = min(LEAST, wanted)
        if window - prompt_tokens / (1 + doubt) - MARGIN < least:
            raise PromptTooLong(max(prompt_tokens, window + 1), window)  # clients take the difference
        wanted = min(wanted, max(window - prompt_tokens - MARGIN, least))
    return change(request, sampling=change(request.sampling, max_tokens=wanted))
