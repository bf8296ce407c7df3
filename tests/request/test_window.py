import pytest

from understudy.language.errors import PromptTooLong
from understudy.language.request import Request, Sampling
from understudy.request.window import LEAST, MARGIN, fitted, surely_fits


def asking(max_tokens):
    return Request("m", (), sampling=Sampling(max_tokens=max_tokens, temperature=0.5))


CLAMPS = [  # wanted, prompt, window, default: max_tokens sent
    (100, 1000, 8192, 512, 100),
    (32000, 1000, 8192, 512, 8192 - 1000 - MARGIN),
    (None, 1000, 8192, 512, 512),
    (None, 8192 - MARGIN - LEAST, 8192, 512, LEAST),
    (32000, 10**6, 0, 512, 32000),
    (None, 10**6, 0, 512, 512),
    (5, 8192 - MARGIN - 5, 8192, 512, 5),
    (128000, 0, 8192, 512, 8192 - MARGIN),
]


@pytest.mark.parametrize(("wanted", "prompt", "window", "default", "sent"), CLAMPS)
def test_max_tokens_is_what_the_window_leaves(wanted, prompt, window, default, sent):
    out = fitted(asking(wanted), prompt, window, default)
    assert out.sampling == Sampling(max_tokens=sent, temperature=0.5)


REFUSED = [  # prompt, window: the numbers in the sentence
    (9000, 8192, 9000, 8192),
    (8192, 8192, 8193, 8192),
    (8192 - MARGIN, 8192, 8193, 8192),
    (10, 8, 10, 8),
]


@pytest.mark.parametrize(("prompt", "window", "said", "maximum"), REFUSED)
def test_a_prompt_that_leaves_nothing_is_too_long(prompt, window, said, maximum):
    with pytest.raises(PromptTooLong) as caught:
        fitted(asking(1), prompt, window, 512)
    assert str(caught.value) == f"prompt is too long: {said} tokens > {maximum} maximum"
    assert (caught.value.tokens, caught.value.maximum) == (said, maximum)


@pytest.mark.parametrize(("wanted", "left"), [(32000, LEAST - 1), (None, LEAST - 1), (5, 4)])
def test_an_answer_that_would_be_cut_at_once_is_not_begun(wanted, left):
    with pytest.raises(PromptTooLong):
        fitted(asking(wanted), 8192 - MARGIN - left, 8192, 512)


@pytest.mark.parametrize(
    ("tokens", "doubt", "sent"),
    [(8192, 0.1, LEAST), (8000, 2.0, LEAST), (20000, 2.0, LEAST), (6000, 0.1, 8192 - 6000 - MARGIN)],
)
def test_an_estimate_that_may_be_too_high_refuses_nobody(tokens, doubt, sent):
    assert fitted(asking(32000), tokens, 8192, 512, doubt=doubt).sampling.max_tokens == sent


@pytest.mark.parametrize(("tokens", "doubt"), [(9000, 0.1), (25000, 2.0)])
def test_an_estimate_beyond_doubt_refuses(tokens, doubt):
    with pytest.raises(PromptTooLong, match=f"{tokens} tokens > 8192 maximum"):
        fitted(asking(32000), tokens, 8192, 512, doubt=doubt)


@pytest.mark.parametrize(
    ("wanted", "bound", "window", "fits"),
    [
        (100, 1000, 1116, True),
        (100, 1001, 1116, False),
        (None, 1100, 1116, True),
        (None, 1101, 1116, False),
        (32000, 1, 8192, False),
    ],
)
def test_whether_it_surely_fits(wanted, bound, window, fits):
    assert surely_fits(asking(wanted), bound, window) is fits
