"""The web in a conversation: what a model may do there, the calls it makes, what comes of them, and what an answer cites.

A client offers such a tool without a schema, and expects that whoever answers runs it (a "server tool"). Here that is the
gateway, for models that have no servers of their own; a cloud API's own calls and results have the same form.
"""

from typing import Literal

from msgspec import Struct

Job = Literal["search", "fetch"]
"""What is done on the web: look for pages, or read one."""
From = Literal["all", "none", "only", "except"]


class Sources(Struct, frozen=True, gc=False):
    """Whose words may name the pages that are read: those of tools called so, or of all tools but those.

    Attributes:
        mode: "all", "none", "only" these tools, all "except" these.
        tools: their names.
    """

    mode: From = "all"
    tools: tuple[str, ...] = ()

    def include(self, tool: str) -> bool:
        """Whether the words of this tool count."""
        if self.mode in ("only", "except"):
            return (tool in self.tools) == (self.mode == "only")
        return self.mode == "all"


class WebTool(Struct, frozen=True, gc=False):
    """What a client lets be done on the web for one question.

    Attributes:
        job: which tool it is.
        max_uses: how often it may be called; None where the client does not say.
        allowed: the only sites there are for it, as patterns; () is all.
        blocked: the sites there are not.
        max_tokens: of one page, about; None where the client does not say.
        from_user: whether pages may be read that the person named.
        from_tools: whether those that a tool of the client's named.
        from_web: whether those that a search or an earlier page named.
    """

    job: Job
    max_uses: int | None = None
    allowed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    max_tokens: int | None = None
    from_user: bool = True
    from_tools: Sources = Sources()
    from_web: Sources = Sources()


class ServerToolUse(Struct, frozen=True, gc=False, tag="server_tool_use"):
    """A call of such a tool. `input` is JSON text."""

    id: str
    name: str
    input: str


MARK, OWN = "srvtoolu_", "toolu_"
"""What ids of such calls begin with toward the client, and within the house."""


def client_id(call: str) -> str:
    """The id of a call as the client is told."""
    return MARK + call.removeprefix(OWN)


def house_id(call: str) -> str:
    """The other way round: what is remembered of a call is found under it."""
    return OWN + call.removeprefix(MARK) if call.startswith(MARK) else call


class Hit(Struct, frozen=True, gc=False):
    """A page that a search found.

    Attributes:
        text: what of it the search shows.
        age: when it was written, in words; "" where nobody knows.
        sealed: what stands in the text's place where only its maker can read it.
    """

    url: str
    title: str
    text: str = ""
    age: str = ""
    sealed: str = ""


class Page(Struct, frozen=True, gc=False, tag="page"):
    """A page that was read: its `text`, or base64 `data` of `media_type`. `retrieved_at` is ISO 8601."""

    url: str
    title: str
    text: str = ""
    media_type: str = "text/plain"
    data: str = ""
    retrieved_at: str = ""


class Missed(Struct, frozen=True, gc=False, tag="missed"):
    """Nothing came of it.

    `code` is Anthropic's word for why: unavailable, too_many_requests, max_uses_exceeded, invalid_tool_input,
    query_too_long, url_too_long, url_not_allowed, url_not_in_prior_context, url_not_accessible,
    unsupported_content_type, content_too_large.
    """

    code: str


class WebResult(Struct, frozen=True, gc=False, tag="web_result"):
    """What came of the call `tool_use_id`."""

    tool_use_id: str
    job: Job
    found: tuple[Hit, ...] | Page | Missed


class Citation(Struct, frozen=True, gc=False):
    """A page that a text relies on.

    Attributes:
        text: the page's own words, no more than were read.
        sealed: what points at them, for its maker only.
    """

    url: str
    title: str
    text: str = ""
    sealed: str = ""


class OtherCitation(Struct, frozen=True, gc=False):
    """A citation of another kind, as the JSON text it came in."""

    json: str
