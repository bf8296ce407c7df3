import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.engines.tinyscript import COMMON_WORDS, cut, marker_of, split_turns, vocabulary

READ = '\n<tool_call>\n{"name": "Read", "arguments": {"file_path": "/home/me/a"}}\n</tool_call>'


def split(turns):
    return split_turns(turns, [marker_of(turn) for turn in turns])


def assert_unambiguous(turns, pieces):
    markers = {marker_of(turn) for turn in turns}
    assert ["".join(one) for one in pieces] == [turn.rstrip() for turn in turns]
    everything = [piece for one in pieces for piece in one]
    successors = {}
    for one in pieces:
        for piece, after in zip(one, [*one[1:], None], strict=True):
            then = "a marker" if after in markers else after
            assert successors.setdefault(piece, then) == then, piece
        for order in (everything, everything[::-1]):  # of pieces that are as long as each other
            assert cut("".join(one), order) == one


@pytest.mark.parametrize(
    "turns",
    [
        ["Hello there, I am here."],
        ["One." + READ, "Two." + READ, "Three." + READ + READ.replace("/home/me/a", "/home/me/b"), "Done."],
        ["<think>\nA.\n</think>\n\nOne.\nx", "<think>\nB.\n</think>\n\nTwo.\nx"],
        ["one two one two one three", "four\none two one"],
        ["a\nb b b b b", "c\nb b b"],
        ["trailing blanks \n\n", "next\n"],
        ["naïve\n漢字 \\u00e9\n\t\ttabs", "emoji 🙂\nanother 漢字 \\u00e9"],
        ["<think>\nA.\n</think>\n\nOne.", "<think>\nA.\n</think>\n\nTwo."],
        ["A list.\n" + "".join(f"{n:02}) step {n} of the plan  \n" for n in range(40)), "Done."],
    ],
    ids=["plain", "same call", "thinking", "repeats", "runs", "blanks", "unicode", "same thinking", "a list"],
)
def test_pieces_are_unambiguous(turns):
    pieces = split(turns)
    assert_unambiguous(turns, pieces)
    for turn, one in zip(turns, pieces, strict=True):
        assert marker_of(turn) in one  # never joined to anything


@given(
    st.lists(
        st.lists(st.sampled_from(["a b", "b", "{", "}\n", " a", "a"]), max_size=12), min_size=1, max_size=4
    )
)
def test_any_text_after_a_marker_can_be_split(tails):
    turns = [f"Marker number {i}!\n" + "".join(tail) for i, tail in enumerate(tails)]
    assert_unambiguous(turns, split(turns))


@pytest.mark.parametrize(
    ("turns", "complaint"),
    [
        (["same", "same"], "more than one turn"),
        (["one", "and one more"], "more than one turn"),
        (["<think>only thinking</think>"], "something visible"),
        ([""], "something visible"),
        (["<think>\n\n</think>\n\nOne."], "chat template"),
    ],
    ids=["twins", "inside", "nothing visible", "empty", "empty thinking"],
)
def test_what_cannot_be_told_apart_is_an_error(turns, complaint):
    with pytest.raises(ValueError, match=complaint):
        split(turns)


def test_a_given_marker_must_be_in_its_turn():
    with pytest.raises(ValueError, match="not a part"):
        split_turns(["one"], ["two"])


def test_cut_takes_the_longest_piece_first():
    assert cut("xabcabx", ["ab", "abc"]) == ["x", "abc", "ab", "x"]
    assert cut("abé", ["ab", "bé"]) == ["a", "bé"]  # by bytes
    assert cut("abc", ["ab", "bc"]) == ["ab", "c"]
    assert cut("abc", ["bc", "ab"]) == ["a", "bc"]


def test_marker_is_the_first_visible_line():
    assert marker_of("<think>\nlong\n</think>\n\n First. \nSecond.") == "First."


def test_vocabulary_has_bytes_words_and_pieces():
    words = vocabulary(["a piece"])
    assert len(set(words.everything)) == len(words.everything)
    assert words.everything[words.byte("A")] == "A"
    assert words.everything[words.piece("a piece")] == "a piece"
    assert words.everything[words.special("<|im_end|>")] == "<|im_end|>"
    assert {words.everything[words.word(word)][1:] for word in COMMON_WORDS} == set(COMMON_WORDS)
    known = set(words.tokens)
    assert all("".join(merge.split(" ")) in known for merge in words.merges)
