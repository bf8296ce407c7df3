"""Tiny GGUF files that real llama.cpp loads: for rehearsals, demonstrations and tests. They know nothing.

`write_rehearsal` makes a model that babbles common words and soon stops; forced by a grammar it closes strings and
objects, so that a forced tool call ends. `write_scripted` makes one that says given texts, turn by turn, at any
temperature: a conversation with tools runs through the whole real engine and its outcome is known.

How a script gets into weights. One layer, one attention head, no feed-forward. An embedding is
`constant + one-hot(token)`; all have the same norm, so RMSNorm only scales. The output matrix is then a table of
successors: logit(next) += A for the piece just said. The head finds out which turn it is: its query is constant, its
key is `24 + 8 k` at the marker of turn k and 0 elsewhere, so softmax looks at the latest marker anywhere in the
context (exp(24) outweighs 100,000 other tokens, exp(8) the turn before); its value adds one-hot(k) to the stream,
and the output matrix adds B to the first piece and to the marker of turn k + 1. After the generation prompt (whose
last token is no piece) every turn's first piece gets A, and B decides between them; inside a turn A > B decides. No
product of two facts is needed, so linear layers are enough. The key lies in the slowest dimension of the rotary
embedding: it does not turn.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.engines.tinyscript import (
    COMMON_WORDS,
    SPECIALS,
    Vocabulary,
    marker_of,
    split_turns,
    vocabulary,
)
from understudy.engines.tinytemplates import TEMPLATES, Template

if TYPE_CHECKING:
    import gguf
    import numpy as np
    from numpy.typing import NDArray

CONTEXT = 262_144
_HEAD = 64  # a turn number is one dimension of the value, so this is also the least number of turns
_MAX_TURNS = 256
_A, _B = 250.0, 100.0  # logits of "the piece after this one" and "the turn after that one"
# What a grammar asks for when the script or the babble has nothing to say: close things, in this order. A quote is
# likely enough to survive min_p = 0.05 among the words (their best logit is 11), or strings would never end.
_PRIOR = {'"': 8.1, "}": 6.0, "]": 5.5, ":": 5.0, ",": 4.5, **dict.fromkeys("0123456789", 4.0)}
_PRIOR |= dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 2.0)
_END_PRIOR = 1.0


@dataclass(slots=True)
class _Brain:
    """What the model knows, before it is spread over matrices. Keys are token ids."""

    vocabulary: Vocabulary
    head: int = _HEAD
    successors: dict[int, dict[int, float]] = field(default_factory=dict)
    starts: dict[int, float] = field(default_factory=dict)
    turns: dict[int, tuple[int, set[int]]] = field(default_factory=dict)  # marker -> (turn, what gets B then)


def write_rehearsal(path: Path) -> None:
    """Write a model of common words in a random order that ends after some tens of them. Under 2 MB.

    The file is the same on every machine. It holds a `hermes` template, and calls a tool only when a grammar says so.
    """
    import numpy as np  # noqa: PLC0415 - heavy, and only needed here

    words = vocabulary()
    random = np.random.default_rng(20)
    order = [words.word(word) for word in random.permutation(np.array(COMMON_WORDS))]
    brain = _Brain(words, starts=dict.fromkeys(order, 10.0) | {order[0]: 11.0})
    end, quote, newline = words.special("<|im_end|>"), words.byte('"'), words.byte("\n")
    for place, token in enumerate(order):
        likely = {int(other): 10.0 for other in random.choice(order, 6)} | {newline: 8.1, end: 8.1}
        last = place % 24 == 23 or token == order[-1]  # noqa: PLR2004 - a sentence; so the likeliest way ends too
        brain.successors[token] = likely | (
            {end: 11.0, quote: 10.8 - _PRIOR['"']} if last else {order[place + 1]: 11.0}
        )
    _write(path, brain, name="understudy rehearsal", template=TEMPLATES["hermes"])


def write_scripted(
    path: Path,
    turns: Sequence[str],
    *,
    template: Template = "hermes",
    markers: Sequence[str] | None = None,
    control: Sequence[str] = (),
) -> None:
    """Write a model that says `turns[k]` as its answer k of a conversation, then repeats the last one.

    Args:
        path: the file to write.
        turns: what the model writes, thinking (`<think>...</think>`) and tool calls included, without end token.
        template: the chat template stored in the file.
        markers: for each turn the part by which it is recognised when it comes back in a prompt; its first visible
            line if not given. Give them for turns that begin with a tool call.
        control: markers that are control tokens, as some models have for their tool calls.

    Raises:
        ValueError: two turns cannot be told apart, or there are none, or too many.
    """
    if not 0 < len(turns) <= _MAX_TURNS:
        raise ValueError(f"a script has 1 to {_MAX_TURNS} turns, not {len(turns)}")
    marks = [marker_of(turn) for turn in turns] if markers is None else list(markers)
    split = split_turns(turns, marks)
    words = vocabulary(list(dict.fromkeys(piece for pieces in split for piece in pieces)))
    brain = _scripted_brain(words, split, marks)
    _write(path, brain, name="understudy script", template=TEMPLATES[template], control=control)


def _scripted_brain(words: Vocabulary, split: list[list[str]], markers: list[str]) -> _Brain:
    brain = _Brain(words, head=max(_HEAD, 1 << (len(split) - 1).bit_length()))
    firsts = [words.piece(pieces[0]) for pieces in split]
    marks = [words.piece(marker) for marker in markers]
    brain.starts = dict.fromkeys(firsts, _A) | {firsts[0]: _A + _B / 2}
    for turn, pieces in enumerate(split):
        ids = [*map(words.piece, pieces), words.special("<|im_end|>")]
        for token, after in itertools.pairwise(ids):
            # no turn is over before the first: its marker is what follows then
            brain.successors.setdefault(token, {})[after] = _A + _B / 2 if after == marks[0] else _A
        coming = min(turn + 1, len(split) - 1)
        brain.turns[marks[turn]] = (turn, {firsts[coming], marks[coming]})
    return brain


def _write(path: Path, brain: _Brain, *, name: str, template: str, control: Sequence[str] = ()) -> None:
    import gguf  # noqa: PLC0415 - heavy, and only needed here

    tensors = _tensors(brain)
    writer = gguf.GGUFWriter(path, "llama")
    _write_facts(writer, brain, width=tensors["token_embd.weight"].shape[1], name=name)
    _write_vocabulary(writer, brain.vocabulary, template, control)
    for tensor, values in tensors.items():
        writer.add_tensor(tensor, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_facts(writer: "gguf.GGUFWriter", brain: _Brain, *, width: int, name: str) -> None:
    writer.add_name(name)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_key_length(brain.head)
    writer.add_value_length(brain.head)
    writer.add_rope_dimension_count(brain.head)
    writer.add_rope_freq_base(1e12)  # the slowest dimension turns by 1e-7 over the whole context
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(0)


def _write_vocabulary(
    writer: "gguf.GGUFWriter", words: Vocabulary, template: str, control: Sequence[str]
) -> None:
    import gguf  # noqa: PLC0415 - heavy, and only needed here

    kinds = gguf.TokenType
    types = [kinds.NORMAL] * len(words.tokens) + [kinds.CONTROL] * len(SPECIALS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(list(words.everything))
    pieces = [kinds.CONTROL if piece in control else kinds.USER_DEFINED for piece in words.pieces]
    writer.add_token_types([*types, *pieces])
    writer.add_token_merges(list(words.merges))
    writer.add_eos_token_id(words.special("<|im_end|>"))
    writer.add_pad_token_id(words.special("<|endoftext|>"))
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(template)


def _tensors(brain: _Brain) -> "dict[str, NDArray[np.float32]]":
    """The weights. Dimension 0 is constant, 1 means "no piece", then one per piece, then one per turn."""
    import numpy as np  # noqa: PLC0415 - heavy, and only needed here

    size = len(brain.vocabulary.everything)
    own = {token: 2 + place for place, token in enumerate(brain.successors)}
    width = 32 * math.ceil((2 + len(own) + len(brain.turns)) / 32)
    embedding, output = np.zeros((2, size, width), dtype=np.float32)
    embedding[:, 0] = 1.0
    for token in range(size):
        embedding[token, own.get(token, 1)] = 1.0
    output[:, 0] = [_prior(brain.vocabulary, token) for token in range(size)]
    for token, logit in brain.starts.items():
        output[token, 1] = logit
    for token, after in brain.successors.items():
        for following, logit in after.items():
            output[following, own[token]] = logit
    for turn, coming in brain.turns.values():
        for following in coming:
            output[following, 2 + len(own) + turn] = _B
    # RMSNorm divides by the root of the mean square; an embedding's square sum is 2. This weight undoes both.
    norm = np.full(width, math.sqrt(2.0 / width), dtype=np.float32)
    idle = np.zeros((32, width), dtype=np.float32)
    return {
        "token_embd.weight": embedding,
        "output_norm.weight": norm,
        "output.weight": output,
        "blk.0.attn_norm.weight": norm,
        **_attention(brain, own, width),
        "blk.0.ffn_norm.weight": norm,
        "blk.0.ffn_gate.weight": idle,
        "blk.0.ffn_up.weight": idle,
        "blk.0.ffn_down.weight": np.zeros((width, 32), dtype=np.float32),
    }


def _attention(brain: _Brain, own: dict[int, int], width: int) -> "dict[str, NDArray[np.float32]]":
    """The head that finds the latest marker. `own` has each piece's dimension."""
    import numpy as np  # noqa: PLC0415 - heavy, and only needed here

    query, key, value = np.zeros((3, brain.head, width), dtype=np.float32)
    merged = np.zeros((width, brain.head), dtype=np.float32)
    query[-1, 0] = 1.0
    for token, (turn, _) in brain.turns.items():
        key[-1, own[token]] = (24.0 + 8.0 * turn) * math.sqrt(brain.head)  # attention divides by that root
        value[turn, own[token]] = 1.0
        merged[2 + len(own) + turn, turn] = 1.0
    names = ("attn_q", "attn_k", "attn_v", "attn_output")
    return {
        f"blk.0.{name}.weight": weight
        for name, weight in zip(names, (query, key, value, merged), strict=True)
    }


def _prior(words: Vocabulary, token: int) -> float:
    text = words.everything[token]
    return _END_PRIOR if text == "<|im_end|>" else _PRIOR.get(text, 0.0)
