import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.engines import KINDS
from understudy.engines.locality import in_house, near

NEAR = [
    "http://127.0.0.1:8000",
    "http://127.9.9.9",
    "http://localhost:11434",
    "http://LOCALHOST",
    "http://localhost.",
    "https://10.0.0.5/v1",
    "http://172.16.0.1",
    "http://172.31.255.255",
    "http://192.168.1.2:9000",
    "http://169.254.10.10",
    "http://0.0.0.0:8000",
    "http://[::1]:8000",
    "http://[::]",
    "http://[fe80::1]",
    "http://[fe80::1%eth0]",
    "http://[fd12:3456::1]",
    "http://[::ffff:10.0.0.1]",
    "http://gpu",
    "http://local",
    "http://gpu-box_2:8000",
    "http://4090box:8000",
    "http://nas.local",
    "http://a.b.lan",
    "http://llm.corp.internal",
    "http://x.localhost",
    "http://box.home.arpa.",
]
FAR = [
    "https://api.anthropic.com",
    "https://api.openai.com/v1",
    "http://8.8.8.8",
    "http://11.0.0.1",
    "http://172.32.0.1",
    "http://100.64.0.1",  # shared address space: a provider's, as likely as a private network's
    "http://192.0.2.1",  # Python calls documentation addresses private
    "http://198.18.0.1",
    "http://[2001:4860:4860::8888]",
    "http://[::ffff:8.8.8.8]",  # and everything that is mapped, too
    "http://[64:ff9b::808:808]",
    "http://[2002:808:808::1]",
    "http://[2001:0:808:808::1]",
    "http://134744072",  # 8.8.8.8 to a resolver
    "http://0x8080808",
    "http://0X8080808",
    "http://8.8",
    "http://010.8.8.8",
    "http://example.com.",
    "http://notlocal.com",
    "http://mylan.example",
    "http://localhost@example.com",
    "http://localhost.example.com",
    "http://example。com",  # one label to Python, two to the resolver
    "http://ｇｐｕ",
    "http://[",
    "http://",
    "",
    "127.0.0.1:8000",
]


@pytest.mark.parametrize("url", NEAR)
def test_hosts_in_the_house(url):
    assert near(url)


@pytest.mark.parametrize("url", FAR)
def test_hosts_outside(url):
    assert not near(url)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_no_public_address_is_near(address):
    host = f"[{address}]" if address.version == 6 else str(address)
    if near(f"http://{host}:1"):
        mapped = getattr(address, "ipv4_mapped", None) or address
        assert not mapped.is_global or mapped == ipaddress.ip_address("::")


ROWS = [  # kind, url, local, in the house
    ("vllm", "https://gpu.example.com", None, True),
    ("ollama", "http://8.8.8.8", None, True),
    ("ollama", "http://8.8.8.8", False, False),
    ("openai", "https://api.openai.com", None, False),
    ("openai", "http://127.0.0.1:9", None, True),
    ("openai", "https://gateway.example.com", True, True),
    ("anthropic", "https://api.anthropic.com", None, False),
    ("anthropic", "http://10.0.0.1:4000", None, True),
    ("anthropic", "http://10.0.0.1:4000", False, False),
]


@pytest.mark.parametrize(("kind", "url", "said", "found"), ROWS, ids=str)
def test_kinds_of_peoples_own_need_no_address(kind, url, said, found):
    assert in_house(url, own=KINDS[kind].own, said=said) is found


def test_what_has_no_address_is_in_this_process():
    assert in_house("", own=False)


def test_only_the_claude_api_and_strangers_are_judged_by_their_address():
    assert {name for name, row in KINDS.items() if not row.own} == {"anthropic", "openai"}
    assert [name for name, row in KINDS.items() if row.raw] == ["anthropic"]
