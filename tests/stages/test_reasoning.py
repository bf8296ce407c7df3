"""The tables of reasoning marks, and what a prompt's end says of them."""

import itertools

import pytest

from understudy.stages.reasoning import STRAYS, TAGS, WRAPPINGS, begun, opened, tags_for


def test_no_mark_begins_another():
    marks = {mark for row in (*TAGS, *WRAPPINGS) for mark in (row.opener, row.closer) if mark} | set(STRAYS)
    for one, two in itertools.permutations(marks, 2):
        assert not two.startswith(one)


@pytest.mark.parametrize(
    ("model", "opener", "counts"),
    [
        ("m", "<think>", True),
        ("m", "Here is my thought process:", False),
        ("granite-3.2-8b", "Here is my thought process:", True),
        ("Apriel-1.6-15b", "Here are my reasoning steps:", True),
    ],
)
def test_sentences_are_marks_of_their_models_only(model, opener, counts):
    assert (opener in {tag.opener for tag in tags_for(model)}) == counts


@pytest.mark.parametrize(
    ("template", "opener"),
    [
        ("{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}", "<think>\n"),
        ("{{ '<|im_start|>assistant\n<think>\n' }}", "<think>\n"),
        ("{{- '<|CHATBOT_TOKEN|><|START_THINKING|>' -}}", "<|START_THINKING|>\n"),
        ("<role>ASSISTANT</role>\n<think>", "<think>\n"),
        ("{{ '<think>\\n\\n</think>\\n\\n' }}", ""),
        ("{{ 'Use <think> tags' }}", ""),
        ("", ""),
    ],
)
def test_the_opening_tag_that_a_template_ends_with(template, opener):
    assert opened(template, TAGS) == opener


@pytest.mark.parametrize(
    ("prompt", "written"),
    [
        ("<|im_start|>assistant\n", ""),
        ("<|im_start|>assistant\n<think>\n", "<think>\n"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", "<think>\n\n</think>\n\n"),
        ("<|assistant|></think>", "</think>"),
        ("]~b]ai\n<mm:think>I'm", "<mm:think>I'm"),
        ("<|start|>assistant", "<|start|>assistant"),
        ("<|end_header_id|>\n\n>>>", ">>>"),
    ],
)
def test_what_a_prompt_has_written_of_the_answer(prompt, written):
    assert begun(prompt, TAGS) == written
