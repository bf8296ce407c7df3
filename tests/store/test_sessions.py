import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.language.request import Image, Request, Text, Thinking, ToolUse, Turn
from understudy.language.target import Home
from understudy.request.prefix import fingerprint
from understudy.store.sessions import MARK_COST, SESSION_COST, Homes, Sessions


def turn(text="ok", call="e1", json="{}"):
    return Turn("assistant", (Thinking("so"), Text(text), ToolUse(call, "Bash", json)))


def prompt(blocks):
    return fingerprint(Request("m", (Turn("user", tuple(Text(str(i)) for i in range(blocks))),)))


def held(sessions):
    """Bytes of all sessions, counted anew."""
    return sum(session.size for session in sessions._sessions.values())


def test_a_turn_is_recalled_under_each_of_its_ids():
    sessions = Sessions(10**6)
    session = sessions.of("a")
    sessions.remember(session, turn(), {"c1": "e1", "c2": "e2"})
    for client_id in ("c1", "c2"):
        found = session.recall(client_id)
        assert found.turn == turn()
        assert found.ids == {"c1": "e1", "c2": "e2"}
    assert session.recall("c3") is None
    assert sessions.of("a") is session
    assert sessions.of("b").recall("c1") is None


def test_a_turn_without_calls_is_not_kept():
    sessions = Sessions(10**6)
    session = sessions.of("a")
    sessions.remember(session, turn(), {})
    assert session.size == SESSION_COST


def test_the_same_ids_again_replace_what_stood_there():
    sessions = Sessions(10**6)
    session = sessions.of("a")
    sessions.remember(session, turn("first"), {"c1": "e1", "c2": "e2"})
    sessions.remember(session, turn("first"), {"c1": "e1", "c2": "e2"})
    once = Sessions(10**6).of("a")
    once.remember(turn("first"), {"c1": "e1", "c2": "e2"})
    assert session.size == once.size == held(sessions)
    sessions.remember(session, turn("second"), {"c2": "e3"})
    assert session.recall("c1") is None
    assert session.recall("c2").turn == turn("second")


def test_the_least_recently_used_go_first():
    sessions = Sessions(3 * SESSION_COST)
    for key in "abc":
        sessions.of(key)
    first = sessions.of("a")
    sessions.of("d")
    assert [*sessions._sessions] == ["c", "a", "d"]
    assert sessions.of("a") is first
    assert len(sessions) == 3


def test_a_forgotten_session_is_no_longer_counted():
    sessions = Sessions(2 * SESSION_COST)
    gone = sessions.of("a")
    sessions.of("b")
    sessions.of("c")
    sessions.remember(gone, turn("x" * 10_000), {"c1": "e1"})
    gone.fingerprint = prompt(50)
    assert len(sessions) == 2
    assert held(sessions) == sessions._used == 2 * SESSION_COST


def test_one_endless_session_loses_its_oldest_turns():
    sessions = Sessions(50_000)
    session = sessions.of("a")
    for i in range(1000):
        sessions.remember(session, turn("x" * 500, f"e{i}"), {f"c{i}": f"e{i}"})
        session.fingerprint = prompt(5)
        assert held(sessions) == sessions._used <= 50_000
    assert session.recall("c999") is not None
    assert session.recall("c0") is None
    kept = [i for i in range(1000) if session.recall(f"c{i}")]
    assert kept == list(range(kept[0], 1000))


def test_one_endless_prompt_loses_its_fingerprint():
    sessions = Sessions(SESSION_COST + 10 * MARK_COST)
    session = sessions.of("a")
    session.fingerprint = prompt(10)
    assert len(session.fingerprint) == 10
    session.fingerprint = prompt(11)
    assert session.fingerprint == ()
    assert session.size == sessions._used == SESSION_COST


def test_a_turn_larger_than_the_store_is_not_kept():
    sessions = Sessions(10_000)
    session = sessions.of("a")
    sessions.remember(session, turn("x" * 20_000), {"c": "e"})
    assert session.recall("c") is None
    assert held(sessions) == SESSION_COST


def test_text_is_counted_in_the_memory_it_takes():
    wide, narrow = Sessions(10**6).of("a"), Sessions(10**6).of("a")
    wide.remember(turn("🙂" * 1000), {"c": "e"})
    narrow.remember(turn("x" * 1000), {"c": "e"})
    assert wide.size - narrow.size >= 3000
    odd = Sessions(10**6).of("a")
    odd.remember(Turn("assistant", (Image(data="x" * 100),)), {"c": "e"})
    assert SESSION_COST < odd.size < SESSION_COST + 2000
    raw = Sessions(10**6).of("a")
    raw.remember(Turn("assistant", (), "y" * 5000), {"c": "e"})
    assert raw.size > 5000


actions = st.one_of(
    st.tuples(st.just("of"), st.sampled_from("abcd")),
    st.tuples(
        st.just("remember"),
        st.sampled_from("abcd"),
        st.integers(0, 3000),
        st.sets(st.sampled_from("123456"), max_size=4),
    ),
    st.tuples(st.just("fingerprint"), st.sampled_from("abcd"), st.integers(0, 30)),
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 20_000), st.lists(actions, max_size=30))
def test_the_bound_is_kept_whatever_happens(limit, sequence):
    sessions, seen = Sessions(limit), {}
    for action in sequence:
        match action:
            case ("of", key):
                seen[key] = sessions.of(key)
            case ("remember", key, size, ids) if key in seen:
                sessions.remember(seen[key], turn("x" * size), {i: f"e{i}" for i in ids})
            case ("fingerprint", key, blocks) if key in seen:
                seen[key].fingerprint = prompt(blocks)
        assert held(sessions) == sessions._used
        assert sessions._used <= max(limit, SESSION_COST)


@pytest.mark.parametrize("limit", [0, 1, SESSION_COST])
def test_the_session_in_use_is_always_there(limit):
    sessions = Sessions(limit)
    assert sessions.of("a") is sessions.of("a")
    assert len(sessions) == 1


def test_a_conversation_lives_where_it_was_kept_last():
    homes = Homes()
    assert homes.find("a") is None
    homes.keep("a", Home("x/m"))
    homes.keep("a", Home("y/m", 9))
    assert homes.find("a") == Home("y/m", 9)
    homes.keep("a", None)
    homes.keep("never", None)
    assert homes.find("a") is None
    assert len(homes) == 0


def test_the_home_that_nobody_asked_for_is_forgotten_first():
    homes = Homes(2)
    homes.keep("a", Home("a/m"))
    homes.keep("b", Home("b/m"))
    homes.find("a")
    homes.keep("c", Home("c/m"))
    assert [homes.find(key) is not None for key in "abc"] == [True, False, True]
    homes.keep("a", Home("a/n"))
    homes.keep("d", Home("d/m"))
    assert [homes.find(key) is not None for key in "acd"] == [True, False, True]
