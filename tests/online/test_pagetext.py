"""HTML as text that a model can read."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.online.pagetext import TAG_LENGTH, page_text

URL = "https://a.example/dir/page"
# what, HTML, text
PAGES = [
    ("words", "<p>One <b>two</b>\n three</p><p>four</p>", "One two three\n\nfour"),
    ("headings", "<h1>A</h1>x<h2>B</h2>y", "# A\nx\n\n## B\ny"),
    ("lists", "<ul><li>a</li><li>b</li></ul>", "- a\n\n- b"),
    ("tables", "<table><tr><td>a</td><td>b</td></tr></table>", "a\n\nb"),
    ("code", "<pre>a\n  b\n</pre>c  \n d", "a\n  b\n\nc d"),
    ("breaks", "a<br>b<br/>c", "a\nb\nc"),
    ("links", '<a href="../x?y=1">X</a>, <a href="#z">Z</a>', "X (https://a.example/x?y=1), Z"),
    (
        "odd links",
        '<a href="javascript:x()">a</a> <a href="http://[">b</a> <a href="">c</a><a>d</a>',
        "a b cd",
    ),
    ("a base", '<base href="https://b.example/"><a href="x">X</a>', "X (https://b.example/x)"),
    ("an odd base", '<base href="http://["><a href="x">X</a>', "X (https://a.example/dir/x)"),
    ("no base", '<base><a href="x">X</a>', "X (https://a.example/dir/x)"),
    ("pictures", '<img alt="a cat" src="x"><img src="y">', "[a cat]"),
    ("signs", "1 &lt; 2 &amp;&nbsp;3", "1 < 2 & 3"),
    ("scripts", "a<script>if (1 < 2) x('</p>')</script><style>p {}</style>b", "ab"),
    ("what is silent", "<nav><ul><li>menu</li></ul></nav>a<footer>f</footer>", "a"),
    ("pictures with words", "<svg><title>no</title><text>no</text></svg>a", "a"),
    ("broken tags", "</p></nav></main><p>a<div>b</main></p>", "a\n\nb"),
    ("a silent one, closed inside", "<nav><aside>no</nav>a", "a"),
    (
        "signs in quotes",
        '<a title="1 > 0" href=/x>X</a><img alt=\'"a" > b\'>',
        'X (https://a.example/x)["a" > b]',
    ),
    ("no tags", "1 < 2, 3 <4> 5 <", "1 < 2, 3 <4> 5 <"),
    ("declarations", "<!DOCTYPE html><?xml a?>a<![CDATA[b]]>c</>d", "acd"),
    ("a comment that never ends", "a<!-- b", "a"),
    ("a tag that never ends", "a<b c", "a"),
    ("a script that never ends", "a<script>b", "a"),
    ("capitals", "<P>a</P><SCRIPT>b</Script><H1>C</H1>", "a\n\n# C"),
    ("a tag that is too long", f"a<b {'x' * TAG_LENGTH}>c", "ac"),
    ("silence in silence", "<nav>a<nav>b</nav>c</nav>d", "d"),
    ("comments", "a<!-- no -->b", "ab"),
    ("nothing", "", ""),
]


@pytest.mark.parametrize(("html", "text"), [row[1:] for row in PAGES], ids=[row[0] for row in PAGES])
def test_a_page(html, text):
    assert page_text(html, URL) == ("", text)


def test_the_title():
    assert page_text("<title>\n A &amp;\nB </title><p>c", URL) == ("A & B", "c")


def test_the_main_part_alone():
    words = "word " * 60
    html = f"<p>before</p><main><article><p>{words}</p></article> and on</main><p>after</p>"
    assert page_text(html, URL)[1] == f"{words.strip()}\n\nand on"
    short = "<p>before</p><main>loading</main><p>after</p>"
    assert page_text(short, URL)[1] == "before\n\nloading\n\nafter"


@given(st.text("<>/ap=\"'&;#! \n", max_size=60))
def test_whatever_comes_is_read(html):
    title, text = page_text(html, URL)
    assert title == title.strip()
    assert text == text.strip()
    assert "\n\n\n" not in text


HOSTILE = (
    "< <! <!-- <![ <![CDATA[ </ <a <a' <a\" <a/ <a/> &# & <? <?x <nav> <nav></b> <p> <pre> <script> <script></ <title> "
    '<svg><title> <a\tb=\' <a\tb=" <a"> <a\'"> <a\tb=c </a <!--> <!DOCTYPE <a\t= <main> </main> '
    "</nav> <img\talt=x> <base\thref=x>"
)


@pytest.mark.parametrize("piece", HOSTILE.split(" "))
def test_time_grows_with_the_length_only(piece):
    """A hundred thousand characters: what takes the square of it would take minutes."""
    began = time.process_time()
    page_text(piece * (100_000 // len(piece)), URL)
    assert time.process_time() - began < 5
