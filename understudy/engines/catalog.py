"""Models worth fetching for work on code, as rows, and which of them fits a machine.

Where the figures are from (read in November 2026, never from the hub itself):

- `bytes`: exact where public projects pin these very files with their sizes; Qwen3-Coder-Next (from a table of third
  parties) and the 0.5B (from memory) are rounded. It only helps to choose: `hub.fetch` asks the hub for the true size
  and checksum before it downloads.
- `memory`: an estimate: the file, plus the key/value cache at 32,768 tokens of 16-bit values from the layers and heads
  of the model card (hybrid models keep a cache in a quarter of their layers only), plus about a tenth for buffers.
  Where a GPU holds the model, read it as GPU memory.
- `context`: what the makers trained it for.
"""

import msgspec

GB = 1_000_000_000


class Recommended(msgspec.Struct, frozen=True):
    """One model that may be fetched by its short name.

    Attributes:
        name: the short name, as written in a setting or on the command line.
        repo: repository on the hub, `owner/name`.
        file: the GGUF in it; also the answer to "which quant" for this row.
        quant: name of the quantisation, as in the file's name.
        bytes: size of the file, approximate.
        memory: bytes that must be free to run it with a window of 32,768 tokens, estimated.
        context: longest window it was trained for, in tokens.
        sentence: what it is good for.
    """

    name: str
    repo: str
    file: str
    quant: str
    bytes: int
    memory: int
    context: int
    sentence: str


# The best first: best_fit() takes the first that fits.
CATALOG: tuple[Recommended, ...] = (
    Recommended(
        name="qwen3-coder-next",
        repo="unsloth/Qwen3-Coder-Next-GGUF",
        file="Qwen3-Coder-Next-Q4_K_M.gguf",
        quant="Q4_K_M",
        bytes=48_500_000_000,
        memory=54 * GB,
        context=262_144,
        sentence="80B with 3B active, made for coding agents: the strongest here, for a workstation.",
    ),
    Recommended(
        name="qwen3.6-35b",
        repo="unsloth/Qwen3.6-35B-A3B-GGUF",
        file="Qwen3.6-35B-A3B-UD-Q4_K_M.gguf",
        quant="UD-Q4_K_M",
        bytes=22_134_528_992,
        memory=25 * GB,
        context=262_144,
        sentence="35B with 3B active, thinks before it acts: an agent for a machine with 32 GB.",
    ),
    Recommended(
        name="qwen3-coder-30b",
        repo="unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF",
        file="Qwen3-Coder-30B-A3B-Instruct-Q4_K_M.gguf",
        quant="Q4_K_M",
        bytes=18_556_689_568,
        memory=24 * GB,
        context=262_144,
        sentence="30B with 3B active, answers without thinking: quick, and good with tools.",
    ),
    Recommended(
        name="qwen3.5-9b",
        repo="unsloth/Qwen3.5-9B-GGUF",
        file="Qwen3.5-9B-Q4_K_M.gguf",
        quant="Q4_K_M",
        bytes=5_680_522_464,
        memory=8 * GB,
        context=262_144,
        sentence="9B, thinks before it acts: small agent work on a laptop with 16 GB.",
    ),
    Recommended(
        name="qwen3-4b",
        repo="unsloth/Qwen3-4B-Instruct-2507-GGUF",
        file="Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
        quant="Q4_K_M",
        bytes=2_497_281_120,
        memory=8 * GB,
        context=262_144,
        sentence="4B, answers without thinking: short edits and questions; its cache is large for its size.",
    ),
    Recommended(
        name="qwen3.5-4b",
        repo="unsloth/Qwen3.5-4B-GGUF",
        file="Qwen3.5-4B-Q4_K_M.gguf",
        quant="Q4_K_M",
        bytes=2_740_937_888,
        memory=5 * GB,
        context=262_144,
        sentence="4B, thinks before it acts: simple edits on a machine with 8 GB.",
    ),
    Recommended(
        name="qwen2.5-coder-1.5b",
        repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        quant="Q4_K_M",
        bytes=1_117_320_768,
        memory=2_700_000_000,
        context=32_768,
        sentence="1.5B: explains and completes code on a little machine, but loses its way as an agent.",
    ),
    Recommended(
        name="qwen2.5-coder-0.5b",
        repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        quant="Q4_K_M",
        bytes=491_000_000,
        memory=1_400_000_000,
        context=32_768,
        sentence="0.5B: shows that everything works; do not expect useful code.",
    ),
)


def best_fit(free_bytes: int) -> Recommended | None:
    """The best model whose memory fits into `free_bytes`, or None where not even the smallest does."""
    return next((row for row in CATALOG if row.memory <= free_bytes), None)


def by_name(name: str) -> Recommended | None:
    """The row with this short name; upper and lower case are the same."""
    return next((row for row in CATALOG if row.name == name.lower()), None)
