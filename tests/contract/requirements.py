"""What Claude Code needs of a server: one row for each row of docs/claude-code.md.

A row says what the server does about the fact of the same number (`source`). `met_by` names the part of understudy that
does it; None is a gap, and `reason` says why: nothing a server can do, or nothing this one does yet. `test_manifest.py`
keeps rows, document and tests in step.
"""

from dataclasses import dataclass

DOCUMENT = "docs/claude-code.md"


@dataclass(frozen=True)
class Requirement:
    """One thing the client needs.

    Attributes:
        id: "CC-3.12": section 3, row 12 of DOCUMENT.
        sentence: what the server does.
        met_by: the module under `understudy` that does it, or None for a gap.
        reason: of a gap.
    """

    id: str
    sentence: str
    met_by: str | None
    reason: str = ""

    @property
    def source(self) -> str:
        """Where the fact stands."""
        section, _, row = self.id.removeprefix("CC-").partition(".")
        return f"{DOCUMENT}, section {section}, row {section}.{row}"


def _rows(section: int, *rows: tuple[str, str | None] | tuple[str, None, str]) -> list[Requirement]:
    return [Requirement(f"CC-{section}.{number}", *row) for number, row in enumerate(rows, 1)]


_CLIENT = "the client's own doing: no answer of a server changes it"

REQUIREMENTS: tuple[Requirement, ...] = (
    *_rows(
        1,
        ("POST /v1/messages?beta=true is answered with a stream; the query says nothing", "web.endpoints"),
        ("HEAD /api/hello and HEAD / are answered, without a key where none is set", "web.endpoints"),
        (
            "the title question is answered by whatever model there is, and the engine gets its schema",
            "gateway",
        ),
        ("GET /v1/models?limit=1000 lists every model", "web.endpoints"),
        ("count_tokens counts a question without system and max_tokens", "web.endpoints"),
        ("26 counts at a time are all answered", "web.endpoints"),
        ("a question with a server tool without schema is answered", "dialects.anthropic_parse"),
        ("a sub-agent's question is answered while the main one runs", "gateway"),
        ("a compaction is answered like any other question", "gateway"),
        ("the same question without streaming gives the same answer as one message", "web.chat"),
    ),
    *_rows(
        2,
        ("a Bearer key lets in", "auth"),
        ("an x-api-key lets in", "auth"),
        ("of two keys one good one lets in", "auth"),
        ("no User-Agent is favoured", "auth"),
        ("any anthropic-version is served, and none", "web.endpoints"),
        ("unknown betas are ignored", "web.endpoints"),
        ("the session id holds a conversation together", "gateway"),
        ("the agent id keeps a sub-agent's conversation apart from the main one", "gateway"),
        ("the SDK's headers decide nothing", "web.chat"),
        ("hint headers are read where they are sent, and not needed", "auth"),
        ("answers are not compressed: a compressed stream would arrive in bursts", "web.chat"),
        ("the browser header is no Origin: nobody is refused for it", "auth"),
    ),
    *_rows(
        3,
        ("the order of keys means nothing", "dialects.anthropic_parse"),
        ("a system prompt of blocks reaches the engine, in order", "dialects.anthropic_parse"),
        ("all blocks of the first user message reach the engine, in order", "dialects.anthropic_parse"),
        (
            "the system message behind the first prompt reaches the engine, whichever form it has",
            "request.prefix",
        ),
        ("system messages may stand anywhere", "request.prefix"),
        ("DeferredToolPlaceholder is offered to no engine", "request.prefix"),
        ("a deferred tool is not in the prompt before it was found", "dialects.openai_render"),
        ("tools without a type are tools", "dialects.anthropic_parse"),
        (
            "every schema feature in use is taken, and each engine gets what its grammar takes",
            "request.schema",
        ),
        ("user_id is any string; it tells sessions apart where the header is missing", "gateway"),
        ("max_tokens larger than the window is made to fit, never refused", "request.window"),
        ("adaptive thinking turns a local model's reasoning on", "dialects.openai_render"),
        ("thinking with a budget does so as well", "dialects.openai_render"),
        ("without the field the engine's own default stays", "dialects.openai_render"),
        ("context_management is taken", "dialects.anthropic_parse"),
        (
            "output_config is taken: an effort where the engine has one, a schema everywhere",
            "dialects.openai_render",
        ),
        ("output_config inside a message is ignored", "dialects.anthropic_parse"),
        ("safeguards are taken, and no verdict is made up", "dialects.anthropic_parse"),
        ("sampling that the client leaves open is left to the engine", "dialects.openai_render"),
        ("a first question of any of these sizes is answered", "web.asgi"),
        ("a model's name is used letter by letter, and shown again in the answer", "routing.rules"),
        ("fields that are known take effect, unknown ones are ignored", "dialects.anthropic_parse"),
        ("the lean prompt is asked for", None, "a name is chosen in the client's settings, not by an answer"),
    ),
    *_rows(
        4,
        ("the billing line reaches no local engine", "request.prefix"),
        ("cache_control reaches no local engine", "dialects.anthropic_parse"),
        ("list or string: the engine gets the same", "dialects.anthropic_parse"),
        ("a loaded tool appears where it was found, not in the tools in front", "dialects.openai_render"),
        ("the engine gets its own calls back as it wrote them", "store.sessions"),
        ("the engine gets its own text back where it stood", "store.sessions"),
        ("blank text is never sent, so that nothing can be left out on the way back", "stages.tidy"),
        ("replayed thinking is taken without a signature", "dialects.anthropic_parse"),
        ("inputs that are no objects are taken back", "dialects.anthropic_parse"),
        ("results reach the engine in the order of the calls", "request.prefix"),
        ("that system message goes in front of the first prompt", "request.prefix"),
        ("ids are not part of the prompt", "request.prefix"),
        ("every turn's prompt begins with all of the turn before", "request.prefix"),
        ("a compaction's prompt begins with all of the turn before", "request.prefix"),
        (
            "the path moves out of the way",
            None,
            "the client's option; the server cannot know which text is a path",
        ),
        ("status and date stay", None, "they are news that the model needs"),
        (
            "repeats keep the prefix",
            None,
            "one byte in the last message, after which nothing is cached anyway",
        ),
    ),
    *_rows(
        5,
        ("both forms of a result are taken", "dialects.anthropic_parse"),
        ("a failure reaches the model as a failure", "dialects.openai_render"),
        ("it is passed on as it is", "dialects.openai_render"),
        ("a name that is nearly right is put right before the client sees it", "stages.repair"),
        ("arguments of the wrong type are put right before the client sees them", "stages.repair"),
        ("broken arguments are mended before the client sees them", "stages.repair"),
        ("an image reaches a model that sees, and is put in words for one that does not", "media.readable"),
        ("the preview is passed on as it is", "dialects.openai_render"),
        ("results come first, then the text", "request.prefix"),
        ("a reference shows the tool to the model", "dialects.openai_render"),
        ("its text reaches the model", "media.readable"),
    ),
    *_rows(
        6,
        ("an engine that is down or busy is a 5xx, which the client repeats", "engines.pool"),
        ("retry-after says when, in whole seconds", "web.asgi"),
        ("x-should-retry: false stands with errors that will not get better", "web.asgi"),
        ("a wrong key is a 401 with x-should-retry: false", "web.asgi"),
        ("a strange Origin is a 403", "auth"),
        ("an unknown model is a 404 that names those there are", "routing.rules"),
        ("a body over the limit is a 413", "web.asgi"),
        ("nothing that the answer does not depend on is refused", "dialects.anthropic_parse"),
        ("role system is never refused", "dialects.anthropic_parse"),
        ("a prompt that does not fit is a 400 with that sentence and both numbers", "request.window"),
        ("max_tokens is fitted, so that this is never said", "request.window"),
        ("count_tokens is there; an estimate is marked as one", "web.endpoints"),
        ("thinking and effort are taken for models that have neither", "engines.remote"),
        ("every event has its event: line", "dialects.anthropic"),
        ("a block opens empty, its content comes in deltas, and it is closed", "dialects.anthropic"),
        ("every call has an id of its own", "stages.repair"),
        ("a call has at least one delta, and its deltas are one JSON object", "dialects.anthropic"),
        ("a failure after the start is an error event, and no message_stop follows", "web.chat"),
        ("a stream is answered with a stream, whatever the engine did", "web.chat"),
        ("headers and a ping go out while the engine is silent", "web.chat"),
        ("pings go on for as long as the engine is silent", "web.chat"),
        ("a closed connection stops the engine", "web.chat"),
        ("an engine that breaks before its first word is replaced by the next one", "gateway"),
        ("oddities are tolerated", None, "the client's tolerance; understudy sends none of them"),
        ("an answer cut by its limit says max_tokens", "dialects.openai_decode"),
        ("model_context_window_exceeded is never said", "dialects.anthropic_stream"),
        ("an answer with a call stops with tool_use", "stages.tidy"),
        ("a call beyond repair leaves no block, and the answer stops with tool_use", "stages.repair"),
        ("an empty answer is passed on, nothing is made up", "stages.tidy"),
        ("a call in the text of a local model becomes a call", "stages.toolcalls"),
        ("local thinking has a signature, an empty one", "dialects.anthropic"),
        ("message_delta has the engine's own numbers", "dialects.anthropic"),
        ("a refusal stays one", "dialects.anthropic_stream"),
        ("stop reasons are those of the API", "dialects.openai_decode"),
    ),
    *_rows(
        7,
        ("the window is told to the client", None, "the client reads no window; its settings must name it"),
        ("the client compacts in time", None, _CLIENT),
        ("usage has the whole prompt, the cached part apart", "dialects.anthropic"),
        (
            "whatever the engine says of a prompt that is too long, the client reads its own sentence",
            "dialects.overflow",
        ),
    ),
    *_rows(
        8,
        ("two sessions that differ in the billing line ask with the same system prompt", "request.prefix"),
        ("toward the Claude API the client's bytes are untouched", "engines.remote"),
        ("a system message in the middle stays where it is, as the user's", "request.prefix"),
        ("a system message after every result keeps the prefix", "request.prefix"),
        ("the answer's headers name the block that broke the prefix", "gateway"),
        ("reasoning goes back to engines that have a field for it", "dialects.openai_render"),
        ("no local engine sees a system message that is not the first", "request.prefix"),
        ("user and assistant alternate, and the user begins", "request.prefix"),
        ("a call has the arguments that the engine gave", "dialects.openai_decode"),
        ("the engine gets its own ids back", "store.sessions"),
        ("parallel calls are blocks of their own", "dialects.openai_decode"),
        ("wrapped arguments are unwrapped", "stages.mend"),
        ("calls in a model's own syntax are read, of offered tools only", "stages.toolcalls"),
        ("a broken tag costs that call, not the answer", "stages.toolcalls"),
        (
            "arguments stream",
            None,
            "calls are held until they are validated: half a call cannot be mended or withdrawn",
        ),
        ("patterns that a grammar cannot hold are cut, and validated all the same", "request.schema"),
        ("keywords that a grammar does not know are cut", "request.schema"),
        (
            "one message_start, blocks numbered from 0 without holes, deltas of the block's own kind",
            "dialects.anthropic",
        ),
        ("earlier reasoning goes back in the field that the engine reads", "dialects.openai_render"),
        ("unsigned reasoning is not sent to an engine that may refuse it", "dialects.anthropic"),
        ("max_tokens is at most what the window leaves", "request.window"),
        ("a prompt over the window is refused before the engine is asked", "request.window"),
        ("Ollama is told not to cut, and an answer to a cut prompt is an error", "gateway"),
        ("the engine that would answer counts, calls and results included", "gateway"),
        ("token numbers are passed on unscaled", "dialects.anthropic"),
        ("the deadline for an engine's first byte is far above any prefill", "config"),
        ("a client that leaves frees the engine at once", "web.chat"),
        (
            "sub-agents wait their turn",
            None,
            "admission by slots is still to come; engines queue for themselves",
        ),
        (
            "a repeat joins the first",
            None,
            "still to come; a closed connection frees the engine, which is the usual case",
        ),
        ("images reach an engine that sees; to others they are named", "dialects.openai_render"),
        ("server tools are left out toward local engines", "dialects.openai_render"),
        (
            "searching the web",
            None,
            "understudy sends nothing outside; a search tool of the client's own does it",
        ),
        ("unknown blocks are carried or named to the model", "dialects.anthropic_parse"),
        ("claude-* is answered by the best model here", "routing.rules"),
        ("models are listed under ids that the client keeps, and answer under them", "web.endpoints"),
        ("an engine's failure is a 5xx", "dialects.refusal"),
        ("no empty block is sent", "stages.tidy"),
        ("every question reaches an engine", "gateway"),
    ),
)
