"""Which of the pages that were found a text names."""

from understudy.language.web import Citation, Hit
from understudy.stages.citing import QUOTED, citations

A = Hit("https://a.example/x", "All there is to know of A", "A is " + "a" * QUOTED)
B = Hit("https://b.example/", "B", "About B.")
HITS = [("1", A), ("2", B)]


def test_a_page_is_cited_where_it_is_named():
    by_a = Citation(A.url, A.title, A.text[:QUOTED], "1")
    by_b = Citation(B.url, B.title, "About B.", "2")
    for text, expected in [
        ("See https://a.example/x.", (by_a,)),
        ("As b.example says.", (by_b,)),
        ("In ALL THERE IS TO KNOW OF a, they say", (by_a,)),
        ("https://b.example and https://a.example/x", (by_a, by_b)),
        ("B is a letter", ()),
        ("https://a.example/xy", ()),
        ("", ()),
    ]:
        assert citations(text, HITS) == expected


def test_a_page_found_twice_is_cited_once():
    assert [found.sealed for found in citations("a.example/x", [*HITS, ("3", A)])] == ["1"]


def test_what_is_no_address_can_be_named_by_its_title_only():
    odd = Hit("no address", "A title that is long enough")
    assert citations("no address", [("1", odd)]) == ()
    assert len(citations("a title that is long enough", [("1", odd)])) == 1
