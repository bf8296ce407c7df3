"""What a GGUF file says about itself, read from its header alone: no tensor is loaded.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (magic, version, two counts, key-value pairs,
tensor infos; then the data). A file that is no model is found here, in the parent, with a sentence that helps;
llama.cpp would only say that it failed.
"""

import math
import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from understudy.language.errors import EngineError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_QUANTS = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K"}
_QUANTS |= {
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
}
_QUANTS |= {20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 30: "BF16", 39: "MXFP4"}
_LONGEST_KEPT = 4096  # longer arrays are vocabularies: only their length matters
_MOST_KEYS = 65_536
_MOST_DIMENSIONS = 8
_BUFFERS = 300 << 20  # what llama.cpp takes beside weights and KV, without the logits
_LOGIT_ROWS = 512  # one batch
_LEAST_CONTEXT = 4096

Value = int | float | bool | str | tuple[int | float | bool, ...]


class BadModel(EngineError):
    """The model file cannot be used; another one must be chosen, or this one fetched again."""


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """A model as its header describes it.

    Attributes:
        path: the file (the first one of a split model).
        file_bytes: size on disk, all parts of a split model together.
        architecture: llama.cpp's name of it, such as `qwen3moe`.
        name: what the author calls it; empty if nothing.
        context: tokens it was trained for; 0 where the header does not say.
        parameters: number of weights in this file.
        quantization: the type most weights have, such as `Q4_K`.
        vocabulary: number of tokens.
        chat_template: Jinja source, or empty.
        kv_bytes: bytes of f16 KV cache that one token takes; an upper bound for sliding-window models.
    """

    path: Path
    file_bytes: int
    architecture: str
    name: str
    context: int
    parameters: int
    quantization: str
    vocabulary: int
    chat_template: str
    kv_bytes: int


def sniff_gguf(path: Path) -> GgufFacts:
    """Read a model's header. BadModel says why the file cannot be used."""
    try:
        with path.open("rb") as file:
            if file.read(4) != _MAGIC:
                raise BadModel(f"{path.name} is not a GGUF model file: give the path of a .gguf file")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _facts(path, data)
    except OSError as error:
        raise BadModel(f"cannot read the model file {path}: {error.strerror}") from error
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise BadModel(f"{path.name} is cut off or damaged: download it again") from error


def pick_context(facts: GgufFacts, free_bytes: int, *, slots: int = 1) -> int:
    """Tokens of context per slot that fit into free memory beside the weights, at most what the model knows.

    Raises BadModel where not even a small context fits.
    """
    room = free_bytes - facts.file_bytes - _BUFFERS - _LOGIT_ROWS * facts.vocabulary * 4
    fitting = int(room * 0.9) // (max(facts.kv_bytes, 1) * slots)
    known = facts.context or fitting
    if fitting >= min(known, _LEAST_CONTEXT) > 0:
        context = min(fitting, known)
        return context // 256 * 256 or context
    missing = facts.file_bytes + _BUFFERS + _LEAST_CONTEXT * slots * facts.kv_bytes
    raise BadModel(
        f"{facts.path.name} needs about {missing / 1e9:.1f} GB of memory and {max(free_bytes, 0) / 1e9:.1f} GB are "
        "free: choose a smaller model or a smaller quantization"
    )


class _Reader:
    """A cursor over the header. struct.error where the file ends too early."""

    def __init__(self, data: mmap.mmap, at: int) -> None:
        self._data = data
        self.at = at

    def take(self, code: str) -> tuple[int | float | bool, ...]:
        form = struct.Struct("<" + code)
        values = form.unpack_from(self._data, self.at)
        self.at += form.size
        return values

    def number(self, code: str) -> int:
        return int(self.take(code)[0])

    def raw(self) -> bytes:
        size = self.number("Q")
        found = self._data[self.at : self.at + size]
        if len(found) != size:
            raise struct.error("string beyond the end")
        self.at += size
        return found

    def value(self, kind: int) -> Value:
        if kind == _STRING:
            return self.raw().decode()
        if kind == _ARRAY:
            return self._array(self.number("I"), self.number("Q"))
        if kind not in _SCALARS:
            raise ValueError(f"unknown value type {kind}")
        return self.take(_SCALARS[kind])[0]

    def _array(self, kind: int, count: int) -> Value:
        """Numbers of a short array; the length of any other."""
        if kind == _STRING:
            for _ in range(count):
                self.at += 8 + int.from_bytes(self._data[self.at : self.at + 8], "little")
                if self.at > len(self._data):
                    raise struct.error("array beyond the end")
            return count
        if kind not in _SCALARS:
            raise ValueError(f"unknown array type {kind}")
        if count <= _LONGEST_KEPT:
            return self.take(f"{count}{_SCALARS[kind]}")
        self.at += count * struct.calcsize("<" + _SCALARS[kind])
        return count


def _facts(path: Path, data: mmap.mmap) -> GgufFacts:
    reader = _Reader(data, 4)
    version, tensors, keys = reader.number("I"), reader.number("Q"), reader.number("Q")
    if version not in _VERSIONS:
        raise BadModel(
            f"{path.name} is GGUF version {version}, which is not supported: convert the model again"
        )
    if keys > _MOST_KEYS:
        raise ValueError("too many keys")
    found: dict[str, Value] = {}
    for _ in range(keys):
        key = reader.raw().decode()
        found[key] = reader.value(reader.number("I"))
    weights = _weights(reader, tensors, len(data))
    architecture = _text(found, "general.architecture")
    if not architecture or _text(found, "general.type") not in ("", "model"):
        raise BadModel(
            f"{path.name} is no language model (it may be a projector or an adapter): choose another file"
        )
    return GgufFacts(
        path=path,
        file_bytes=_all_bytes(path, _number(found, "split.count")),
        architecture=architecture,
        name=_text(found, "general.name"),
        context=_number(found, f"{architecture}.context_length"),
        parameters=sum(weights.values()),
        quantization=_quantization(weights),
        vocabulary=_number(found, "tokenizer.ggml.tokens"),
        chat_template=_text(found, "tokenizer.chat_template"),
        kv_bytes=_kv_bytes(found, architecture),
    )


def _weights(reader: _Reader, tensors: int, size: int) -> Counter[int]:
    """Number of weights by type. struct.error if the data of a tensor lie behind the end of the file."""
    weights: Counter[int] = Counter()
    last = 0
    for _ in range(tensors):
        reader.raw()
        dimensions = reader.number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError("too many dimensions")
        shape = reader.take(f"{dimensions}Q")
        kind, offset = reader.number("I"), reader.number("Q")
        weights[kind] += math.prod(int(length) for length in shape)
        last = max(last, offset)
    if tensors and reader.at + last >= size:
        raise struct.error("tensor beyond the end")
    return weights


def _quantization(weights: Counter[int]) -> str:
    if not weights:
        return ""
    kind = weights.most_common(1)[0][0]
    return _QUANTS.get(kind, f"type {kind}")


def _all_bytes(path: Path, parts: int) -> int:
    if parts <= 1:
        return path.stat().st_size
    stem = path.name.removesuffix(f"-00001-of-{parts:05}.gguf")
    names = [path.with_name(f"{stem}-{part:05}-of-{parts:05}.gguf") for part in range(1, parts + 1)]
    missing = [name.name for name in names if not name.is_file()]
    if missing:
        raise BadModel(f"{path.name} is part of a model in {parts} files, and {missing[0]} is not beside it")
    return sum(name.stat().st_size for name in names)


def _kv_bytes(found: dict[str, Value], architecture: str) -> int:
    """Bytes per token: two for each key and value element of each layer that attends."""

    def get(key: str, default: int = 0) -> int:
        return _number(found, f"{architecture}.{key}") or default

    layers = get("block_count")
    if get("attention.key_length_mla"):  # the compressed form of DeepSeek: one latent vector per layer
        return 2 * layers * (get("attention.kv_lora_rank") + get("rope.dimension_count"))
    heads = _largest(found.get(f"{architecture}.attention.head_count", 1)) or 1
    width = get("embedding_length") // heads
    per_head = get("attention.key_length", width) + get("attention.value_length", width)
    kv_heads = found.get(f"{architecture}.attention.head_count_kv", heads)
    if isinstance(kv_heads, tuple):
        return 2 * per_head * int(sum(kv_heads))
    attending = math.ceil(layers / get("full_attention_interval", 1))  # hybrids: the other layers have no KV
    return 2 * per_head * _largest(kv_heads) * attending


def _largest(value: Value) -> int:
    if isinstance(value, tuple):
        return int(max(value, default=0))
    return 0 if isinstance(value, str) else int(value)


def _number(found: dict[str, Value], key: str) -> int:
    return _largest(found.get(key, 0))


def _text(found: dict[str, Value], key: str) -> str:
    value = found.get(key, "")
    return value if isinstance(value, str) else ""
