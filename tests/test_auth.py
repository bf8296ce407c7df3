import contextlib
import hmac
import socket
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.auth import Caller, Gatekeeper, digest, is_loopback
from understudy.config import ConfigError
from understudy.language.errors import BadRequest, Forbidden, Misdirected, Unauthorized

KEY = "sk-made-up"
OPEN = Gatekeeper("127.0.0.1", hosts=("GW.example", "other.example:8000"), origins=("https://Chat.example/",))
LOCKED = Gatekeeper("0.0.0.0", (digest("another"), digest(KEY), digest("clé")), hosts=("gw.example",))


def asks(**headers):
    return {
        b"host": b"localhost",
        **{name.replace("_", "-").encode(): value for name, value in headers.items()},
    }


HOSTS = {  # Host: whether it is ours
    b"localhost": True,
    b"localhost:8000": True,
    b"LocalHost:8000": True,
    b"127.0.0.1": True,
    b"127.0.0.1:8000": True,
    b"0.0.0.0:8000": True,
    b"192.168.1.7:8000": True,
    b"[::1]": True,
    b"[::1]:8000": True,
    b"[fe80::1]:8000": True,
    b"gw.example": True,
    b"GW.EXAMPLE:80": True,
    b"other.example": True,
    socket.gethostname().encode(): True,
    b"": False,
    b":8000": False,
    b"[]": False,
    b"[::1": True,  # no browser sends it, and no name can be rebound to it
    b"::1": False,
    b"evil.example": False,
    b"evil.example:8000": False,
    b"localhost.evil.example": False,
    b"127.0.0.1.evil.example": False,
    b"evil.example@localhost": False,
    b"localhost@evil.example": False,
    b"notlocalhost": False,
    b"2130706433": False,
    b"0x7f.1": False,
    b"127.1": False,
    b"\xff\xfe": False,
    b"localhost\x00": False,
}


@pytest.mark.parametrize(("host", "ours"), HOSTS.items())
def test_host(host, ours):
    if ours:
        assert OPEN.admit("/v1/messages", {b"host": host}) == Caller()
    else:
        with pytest.raises(Misdirected, match=r"server\.hosts"):
            OPEN.admit("/v1/messages", {b"host": host})


def test_no_host_is_not_ours():
    with pytest.raises(Misdirected):
        OPEN.admit("/", {})
    with pytest.raises(Misdirected):
        Gatekeeper("", (digest(KEY),)).admit("/", {b"host": b""})


ORIGINS = {  # Host, Origin: whether it may call
    (b"localhost:8000", b""): True,
    (b"localhost:8000", b"http://localhost:8000"): True,
    (b"LOCALHOST:8000", b"HTTP://localhost:8000"): True,
    (b"[::1]:8000", b"http://[::1]:8000"): True,
    (b"0.0.0.0:8000", b"http://0.0.0.0:8000"): True,
    (b"gw.example", b"https://gw.example"): True,
    (b"localhost:8000", b"https://chat.example"): True,
    (b"localhost:8000", b"https://CHAT.example"): True,
    (b"localhost:8000", b"http://chat.example"): False,
    (b"localhost:8000", b"http://localhost:3000"): False,
    (b"localhost:8000", b"http://localhost"): False,
    (b"localhost:8000", b"http://127.0.0.1:8000"): False,
    (b"localhost:8000", b"null"): False,
    (b"localhost:8000", b"http://evil.example"): False,
    (b"localhost:8000", b"http://localhost:8000.evil.example"): False,
    (b"localhost:8000", b"http://localhost:8000@evil.example"): False,
    (b"localhost:8000", b"http://["): False,
    (b"localhost:8000", b"http://[evil]"): False,
    (b"localhost:8000", b"\xff"): False,
    (b"0.0.0.0:8000", b"http://evil.example"): False,
    (b"127.0.0.1:8000", b"chrome-extension://abc"): False,
}


@pytest.mark.parametrize(("host", "origin", "ours"), [(*pair, ours) for pair, ours in ORIGINS.items()])
def test_origin(host, origin, ours):
    headers = {b"host": host, b"origin": origin}
    if ours:
        assert OPEN.admit("/v1/messages", headers) == Caller()
    else:
        with pytest.raises(Forbidden, match=r"server\.origins"):
            OPEN.admit("/v1/messages", headers)


GOOD = KEY.encode()
THEIRS = (b"x-api-key", b"sk-ant-1")
LOGIN = (b"authorization", b"Bearer sk-ant-oat-1")
FOREIGN = {  # headers: what of them may be shown to somebody else
    "nothing": (asks(authorization=b"Bearer " + GOOD), ()),
    "our key twice": (asks(authorization=b"Bearer " + GOOD, x_api_key=GOOD), ()),
    "our key, and blanks": (asks(authorization=b"bearer   " + GOOD + b" ", x_api_key=b" " + GOOD), ()),
    "our key in both, once without its scheme": (asks(authorization=GOOD, x_api_key=GOOD), ()),
    "a key beside ours": (asks(authorization=b"Bearer " + GOOD, x_api_key=THEIRS[1]), (THEIRS,)),
    "a login beside ours": (asks(authorization=LOGIN[1], x_api_key=GOOD), (LOGIN,)),
}


@pytest.mark.parametrize(("headers", "found"), FOREIGN.values(), ids=FOREIGN)
def test_our_own_key_is_never_passed_on(headers, found):
    assert LOCKED.admit("/v1/messages", headers).passed.credential == found


def test_where_there_are_no_keys_of_ours_all_are_the_clients():
    found = OPEN.admit("/v1/messages", asks(authorization=LOGIN[1], x_api_key=THEIRS[1])).passed
    assert found.credential == (LOGIN, THEIRS)
    assert "sk-ant" not in repr(found)
    assert "<set>" in repr(found)


def test_headers_that_a_question_depends_on():
    sent = {
        b"anthropic-version": b"1",
        b"anthropic-beta": b"a",
        b"x-app": b"cli",
        b"cookie": b"c",
        b"via": b"x",
    }
    found = OPEN.admit("/v1/messages", asks() | sent).passed
    assert found.headers == ((b"anthropic-version", b"1"), (b"anthropic-beta", b"a"), (b"x-app", b"cli"))
    assert "<none>" in repr(found)


KEYS = {  # headers: whether they open
    "bearer": (asks(authorization=b"Bearer " + GOOD), True),
    "lower case": (asks(authorization=b"bearer " + GOOD), True),
    "blanks": (asks(authorization=b"Bearer  " + GOOD + b" "), True),
    "x-api-key": (asks(x_api_key=GOOD), True),
    "both": (asks(authorization=b"Bearer " + GOOD, x_api_key=GOOD), True),
    "the first wrong": (asks(authorization=b"Bearer no", x_api_key=GOOD), True),
    "the second wrong": (asks(authorization=b"Bearer " + GOOD, x_api_key=b"no"), True),
    "utf-8": (asks(x_api_key="clé".encode()), True),
    "none": (asks(), False),
    "wrong": (asks(authorization=b"Bearer no"), False),
    "both wrong": (asks(authorization=b"Bearer no", x_api_key=b"no"), False),
    "empty": (asks(authorization=b"Bearer ", x_api_key=b""), False),
    "basic": (asks(authorization=b"Basic " + GOOD), False),
    "no scheme": (asks(authorization=GOOD), False),
    "part of it": (asks(x_api_key=GOOD[:-1]), False),
    "more than it": (asks(x_api_key=GOOD + b"x"), False),
    "its digest": (asks(x_api_key=digest(KEY).encode()), False),
    "latin-1": (asks(x_api_key="clé".encode("latin-1")), False),
    "a cookie": (asks(cookie=b"key=" + GOOD), False),
}


@pytest.mark.parametrize(("headers", "opens"), KEYS.values(), ids=KEYS)
def test_keys(headers, opens):
    if opens:
        assert len(LOCKED.admit("/v1/messages", headers).key) == 8
    else:
        with pytest.raises(Unauthorized) as caught:
            LOCKED.admit("/v1/messages", headers)
        assert caught.value.status == 401
        assert not caught.value.retryable
        assert KEY not in caught.value.message


def test_the_message_says_what_is_wrong():
    with pytest.raises(Unauthorized, match=r"^a key is needed"):
        LOCKED.admit("/x", asks())
    with pytest.raises(Unauthorized, match=r"^the key is not known here"):
        LOCKED.admit("/x", asks(x_api_key=b"no"))


def test_every_known_key_is_compared_in_constant_time(monkeypatch):
    compared = []

    def watched(a, b):
        compared.append((a, b))
        return hmac_compare(a, b)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", watched)
    LOCKED.admit("/x", asks(x_api_key=b"another"))
    assert [known for _, known in compared] == [digest("another"), digest(KEY), digest("clé")]


@pytest.mark.parametrize(
    ("path", "opens"),
    [
        ("/health", True),
        ("/", True),
        ("/health/", False),
        ("/v1/models", False),
        ("/metrics", False),
        ("/docs", False),
        ("//", False),
        ("/v1/messages", False),
    ],
)
def test_open_paths(path, opens):
    if opens:
        assert LOCKED.admit(path, asks()) == Caller()
    else:
        with pytest.raises(Unauthorized):
            LOCKED.admit(path, asks())


def test_an_open_path_still_checks_host_and_origin():
    with pytest.raises(Misdirected):
        LOCKED.admit("/health", {b"host": b"evil.example"})
    with pytest.raises(Forbidden):
        LOCKED.admit("/health", asks(origin=b"http://evil.example"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "", "gw.example", "127.0.0.1.evil.example"])
def test_no_key_lets_nobody_else_in(host):
    with pytest.raises(ConfigError, match="UNDERSTUDY_MASTER_KEY"):
        Gatekeeper(host)
    Gatekeeper(host, (digest(KEY),))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_loopback_needs_no_key(host):
    assert is_loopback(host)
    assert Gatekeeper(host).admit("/v1/messages", asks()) == Caller()


def test_the_caller_is_known_by_what_it_sends():
    headers = asks(
        x_api_key=GOOD,
        x_claude_code_session_id=b"s-1",
        x_claude_code_agent_id=b"a-1",
        x_claude_code_request_class=b"subagent",
    )
    assert LOCKED.admit("/v1/messages", headers) == Caller(digest(KEY)[:8], "s-1", "a-1", "subagent")


def test_the_digest_is_sha256():
    assert digest("abc") == digest(b"abc") == sha256(b"abc").hexdigest()
    assert digest("\udcff") == digest(b"\xff")  # an environment that is not UTF-8


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_bytes_in_the_key_headers_get_in_or_crash(one, two):
    for prefix in (b"", b"Bearer "):
        with pytest.raises(Unauthorized):
            LOCKED.admit("/v1/messages", asks(authorization=prefix + one, x_api_key=two))


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_no_bytes_in_host_or_origin_crash(host, origin):
    with contextlib.suppress(Misdirected, Forbidden):
        OPEN.admit("/", {b"host": host, b"origin": origin})


MODES = [
    (b"", ""),
    (b"open", "open"),
    (b" Local-Only ", "local-only"),
    (b"ask-free", "ask-free"),
]


@pytest.mark.parametrize(("said", "mode"), MODES)
def test_a_caller_says_what_may_leave(said, mode):
    headers = {b"host": b"localhost", b"x-understudy-privacy": said}
    assert Gatekeeper("127.0.0.1").admit("/v1/messages", headers).privacy == mode


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(
        BadRequest, match=r"X-Understudy-Privacy: 'local' is none of local-only, ask-free, open"
    ):
        Gatekeeper("127.0.0.1").admit("/", {b"host": b"localhost", b"x-understudy-privacy": b"local"})
