"""What a model may do on the web, and the names its calls have."""

import pytest

from understudy.language.web import Sources, client_id, house_id


@pytest.mark.parametrize(
    ("sources", "read", "grep"),
    [
        (Sources(), True, True),
        (Sources("none"), False, False),
        (Sources("only", ("Read",)), True, False),
        (Sources("except", ("Read",)), False, True),
    ],
)
def test_whose_words_count(sources, read, grep):
    assert (sources.include("Read"), sources.include("Grep")) == (read, grep)


def test_a_call_has_one_id_here_and_one_out_there():
    assert client_id("toolu_a1") == "srvtoolu_a1"
    assert house_id("srvtoolu_a1") == "toolu_a1"
    assert client_id("call_1") == "srvtoolu_call_1"
    assert house_id("toolu_a1") == "toolu_a1"
