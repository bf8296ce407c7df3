"""Every metric, in one place: name, labels, help. Label values come from short fixed sets, never from a caller."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

REQUESTS = Counter(
    "understudy_requests_total",
    "Requests answered, by dialect, mode (stream, whole or background) and how the answer ended.",
    ["dialect", "mode", "outcome"],
    registry=REGISTRY,
)
IN_FLIGHT = Gauge("understudy_requests_in_flight", "Requests being answered now.", registry=REGISTRY)
FIRST_EVENT = Histogram(
    "understudy_time_to_first_event_seconds",
    "From the request's last byte to the first event of its answer.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600),
    registry=REGISTRY,
)
ANSWER = Histogram(
    "understudy_answer_seconds",
    "From the request's last byte to the end of its answer.",
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800),
    registry=REGISTRY,
)
PROMPT_TOKENS = Counter(
    "understudy_prompt_tokens_total", "Prompt tokens, as the engines counted them.", registry=REGISTRY
)
CACHED_TOKENS = Counter(
    "understudy_prompt_cached_tokens_total",
    "Prompt tokens that came from an engine's prefix cache.",
    registry=REGISTRY,
)
OUTPUT_TOKENS = Counter("understudy_output_tokens_total", "Tokens generated.", registry=REGISTRY)
PREFIX_TURNS = Counter(
    "understudy_prefix_turns_total",
    "Turns by what became of the prompt's prefix: new, kept, or broken at tools, system or messages.",
    ["prefix"],
    registry=REGISTRY,
)
TOOL_CALLS = Counter(
    "understudy_tool_calls_total",
    "Tool calls by outcome: clean, repaired, retried, given up, dropped.",
    ["outcome"],
    registry=REGISTRY,
)
TOOL_REPAIRS = Counter(
    "understudy_tool_repairs_total",
    "Tool calls by what had to be mended in them.",
    ["rule"],
    registry=REGISTRY,
)
TOOL_RETRIES_FAILED = Counter(
    "understudy_tool_retries_failed_total",
    "Broken tool calls that an engine was asked for again, and did not answer.",
    ["error"],
    registry=REGISTRY,
)
ROUTES = Counter(
    "understudy_routes_total",
    "Answers by what was asked for, and by what chose who answers: name, rule, task, or home (the conversation stayed).",
    ["task", "by"],
    registry=REGISTRY,
)
SWITCHES = Counter(
    "understudy_conversation_moves_total",
    "Conversations that went on at another target, by reason.",
    ["reason"],
    registry=REGISTRY,
)
LOST_PREFIX = Counter(
    "understudy_conversation_moves_lost_tokens_total",
    "Tokens of prefix that such conversations left behind: the length of their last prompt.",
    ["reason"],
    registry=REGISTRY,
)
PICTURES = Counter(
    "understudy_pictures_total",
    "Pictures for models that cannot see, by what became of them: described, known, failed, omitted, not fetched.",
    ["outcome"],
    registry=REGISTRY,
)
DOCUMENTS = Counter(
    "understudy_documents_total",
    "PDFs by what became of them: known, failed, or why reading ended, such as whole, length, time, encrypted, broken.",
    ["outcome"],
    registry=REGISTRY,
)
SPENT = Counter(
    "understudy_spent_dollars_total",
    "What answers from outside the house have cost, by task, at the prices of the settings and the table.",
    ["task"],
    registry=REGISTRY,
)
SAVED = Counter(
    "understudy_saved_dollars_total",
    "What answers from inside the house would have cost at Claude, by task.",
    ["task"],
    registry=REGISTRY,
)
FAILOVERS = Counter(
    "understudy_failovers_total", "Requests passed on to another target.", ["error"], registry=REGISTRY
)

WEB_CALLS = Counter(
    "understudy_web_calls_total",
    "Calls of web tools that were run for models, by job (search or fetch) and outcome: found, or why nothing was.",
    ["job", "outcome"],
    registry=REGISTRY,
)
BATCH_REQUESTS = Counter(
    "understudy_batch_requests_total",
    "Requests of batches by what became of them: succeeded, errored, canceled, expired.",
    ["outcome"],
    registry=REGISTRY,
)
BATCH_WAITING = Gauge(
    "understudy_batch_requests_waiting", "Requests of batches that have no result yet.", registry=REGISTRY
)
BATCH_AGAIN = Counter(
    "understudy_batch_retries_total",
    "Requests of batches put back to be asked again, by reason: gave way to people, or the engine's error.",
    ["reason"],
    registry=REGISTRY,
)


def exposition() -> bytes:
    """The text format Prometheus scrapes."""
    return generate_latest(REGISTRY)
