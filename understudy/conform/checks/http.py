"""Checks of the rims: paths, headers, keys, and the listing of models."""

import re
from collections.abc import Callable
from typing import Final

from understudy.conform.answer import decoded, heard, told
from understudy.conform.asks import HAIKU, ask, hello
from understudy.conform.exchange import LISTING, Ask, Check, Credentials, Fault, Plan, Scene, Skipped, put
from understudy.conform.judging import answered, refused
from understudy.conform.values import at, rows, text

KEPT: Final = re.compile("claude|anthropic", re.IGNORECASE)
"""What Claude Code's discovery looks for in a model's id."""
TRIED: Final = 3
"""Ids of the one model that are tried."""
STRANGER: Final = "https://stranger.example"


def _greeted(scene: Scene) -> Plan:
    del scene
    for path in ("/api/hello", "/"):
        reply = yield from put(Ask(method="HEAD", path=path, headers=(("user-agent", "Bun/1.3"),)))
        if reply.trouble or not reply.status:
            raise Fault(f"HEAD {path}: {reply.trouble}", "any status")
        if reply.body:
            raise Fault(f"HEAD {path}: a body", "headers alone")
    return ""


def _request_id(scene: Scene) -> Plan:
    for reply in (
        (yield from put(hello(scene))),
        (yield from put(Ask(b"{", (("content-type", "application/json"),)))),
    ):
        if not reply.headers.get("request-id"):
            raise Fault(
                f"no request-id on an answer with status {reply.status}", "a request-id, on errors as well"
            )
    return ""


def _stranger(scene: Scene) -> Plan:
    reply = yield from put(ask(scene, "Say yes.", max_tokens=1, stream=False).more(origin=STRANGER))
    allowed = reply.headers.get("access-control-allow-origin", "")
    if reply.status < 400 and allowed in ("*", STRANGER):  # noqa: PLR2004 - errors begin there
        raise Fault(
            f"a page of {STRANGER} gets an answer, and access-control-allow-origin: {allowed}", "status 403"
        )
    return "refused" if reply.status >= 400 else "answered, but no browser would show it to the page"  # noqa: PLR2004


def _sent(**headers: str | None) -> Callable[[Scene], Ask]:
    return lambda scene: ask(scene, "Say yes.", max_tokens=1, stream=False).more(**headers)


# ---- keys ----


def _key(credentials: Credentials) -> Callable[[Scene], Plan]:
    def plan(scene: Scene) -> Plan:
        if not scene.keyed:
            raise Skipped("no key was given (--key)")
        asked = Ask(hello(scene).body, hello(scene).headers, credentials=credentials)
        heard((yield from put(asked)))
        return ""

    return plan


def _wrong_key(scene: Scene) -> Plan:
    if not scene.bad_key:
        raise Skipped("a wrong key is only tried with --bad-key: some servers lock out who tries one")
    asked = hello(scene)
    reply = yield from put(Ask(asked.body, asked.headers, credentials="wrong"))
    if reply.status == 200:  # noqa: PLR2004
        raise Skipped("this server asks for no key")
    refused(reply, 401, "authentication_error")
    if reply.headers.get("x-should-retry") != "false":
        raise Fault("a 401 without x-should-retry: false", "x-should-retry: false")
    return ""


# ---- models ----


def _listing(scene: Scene) -> Plan:
    del scene
    reply = yield from put(Ask(method="GET", path=LISTING))
    if reply.status != 200:  # noqa: PLR2004
        raise Fault(told(reply), "status 200 and a list of models")
    found = rows(at(decoded(reply.body), "data"))
    if not found or not all(text(row, "id") for row in found):
        raise Fault(
            f"a body without models: {reply.body[:120].decode(errors='replace')}", '{"data": [{"id": ...}]}'
        )
    return ""


def _discovered(scene: Scene) -> Plan:
    del scene
    reply = yield from put(Ask(method="GET", path=LISTING))
    ids = [text(row, "id") or "" for row in rows(at(decoded(reply.body), "data"))]
    if not ids:
        raise Skipped("no models are listed")
    if not any(KEPT.search(name) for name in ids):
        raise Fault(
            f"{', '.join(ids[:TRIED])}: none has claude or anthropic in it", "an id that the client keeps"
        )
    return ""


def _named(scene: Scene) -> Plan:
    for name in _names(scene):
        reply = yield from put(ask(scene, "Say yes.", model=name, max_tokens=1))
        try:
            heard(reply)
        except Fault as fault:
            raise Fault(f"{name}: {fault.seen}", f"an answer by {name}") from fault
    return ""


def _names(scene: Scene) -> list[str]:
    """The model, and the other ids under which it is listed: to ask for a second model may cost minutes of loading."""
    return list(dict.fromkeys([scene.model, *(name for name in scene.models if scene.model in name)]))[:TRIED]


def _unknown(scene: Scene) -> Plan:
    reply = yield from put(ask(scene, "Say yes.", model="no-such-model-9000", max_tokens=1))
    if reply.status == 200:  # noqa: PLR2004
        heard(reply)
        return "this server answers under any name"
    refused(reply, 404, "not_found_error")
    return ""


KEPT_OUT: Final = "the client cannot begin"
CHECKS: Final = (
    Check(
        "http.hello",
        ("CC-1.2",),
        "HEAD / and HEAD /api/hello are answered, with whatever status",
        "older clients wait for it before they begin",
        _greeted,
    ),
    answered(
        "http.user-agent",
        ("CC-2.4",),
        "no User-Agent is favoured",
        KEPT_OUT,
        _sent(user_agent="claude-cli/3.0.0 (external, sdk-py, agent-sdk/0.3.0)"),
        _sent(user_agent="Bun/1.3"),
    ),
    answered(
        "http.version",
        ("CC-2.5",),
        "any anthropic-version is served, and none",
        KEPT_OUT,
        _sent(anthropic_version="2031-01-01"),
        _sent(anthropic_version=None),
    ),
    answered(
        "http.betas",
        ("CC-2.6",),
        "unknown betas are ignored",
        "every new version of the client is refused",
        _sent(anthropic_beta="tea-2031-01-01,oh so wrong,,"),
        _sent(anthropic_beta=None),
    ),
    answered(
        "http.stainless",
        ("CC-2.9",),
        "the SDK's headers decide nothing",
        "repeats are refused",
        _sent(x_stainless_retry_count="7", x_stainless_timeout="soon"),
    ),
    answered(
        "http.hints",
        ("CC-2.10",),
        "hint headers are not needed, and may say anything",
        KEPT_OUT,
        _sent(x_claude_code_request_class="brunch", x_claude_code_prompt_id="?"),
    ),
    answered(
        "http.browser",
        ("CC-2.12",),
        "nobody is refused for the browser header",
        KEPT_OUT,
        _sent(x_app="web", anthropic_dangerous_direct_browser_access="true"),
    ),
    Check(
        "http.request-id",
        (),
        "every answer has a request-id",
        "SDKs show it in their errors; without it nobody finds the line in a log",
        _request_id,
        "should",
    ),
    Check(
        "http.origin",
        ("CC-6.5",),
        "a page of another origin cannot read answers",
        "any web page a person visits can use the model",
        _stranger,
        "should",
    ),
    Check("keys.bearer", ("CC-2.1",), "a Bearer key lets in", KEPT_OUT, _key("bearer")),
    Check("keys.x-api-key", ("CC-2.2",), "an x-api-key lets in", KEPT_OUT, _key("x-api-key")),
    Check(
        "keys.both", ("CC-2.3",), "of two keys one good one lets in", KEPT_OUT, _key("one-wrong"), "should"
    ),
    Check(
        "keys.wrong",
        ("CC-6.4",),
        "a wrong key is a 401, with x-should-retry: false",
        "the client comes again for a minute and more before it says so",
        _wrong_key,
    ),
    Check(
        "models.listing",
        ("CC-1.4",),
        "GET /v1/models?limit=1000 lists the models",
        "models cannot be chosen in /model",
        _listing,
        "should",
    ),
    Check(
        "models.discovery",
        ("CC-8.35",),
        "models are listed under ids that the client's discovery keeps",
        "models cannot be chosen in /model",
        _discovered,
        "should",
    ),
    Check(
        "models.named",
        ("CC-3.21", "CC-8.35"),
        "a listed model answers under its id, letter by letter",
        "a model that was chosen fails with its first question",
        _named,
    ),
    answered(
        "models.haiku",
        ("CC-8.34",),
        "a claude-haiku name is answered, by whatever model there is",
        "titles and some sub-agents fail, unless ANTHROPIC_DEFAULT_HAIKU_MODEL is set",
        lambda scene: ask(scene, "Say yes.", model=HAIKU, max_tokens=1),
        level="should",
    ),
    Check(
        "models.unknown",
        ("CC-6.6",),
        "an unknown model is a 404",
        "the client asks again instead of naming the model's name as the cause",
        _unknown,
    ),
)
