import struct
from dataclasses import replace

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.engines.ggufinfo import BadModel, GgufFacts, pick_context, sniff_gguf
from understudy.engines.tinygguf import write_rehearsal
from understudy.engines.tinytemplates import TEMPLATES

GB = 10**9


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "r.gguf"
    write_rehearsal(path)
    return path


def write(path, *, architecture="llama", numbers=(), tensors=(), strings=()):
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in numbers:
        put = writer.add_array if isinstance(value, list) else writer.add_uint32
        put(f"{architecture}.{key}", value)
    for key, value in strings:
        writer.add_string(key, value)
    for name, values in tensors:
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_facts_of_a_whole_model(rehearsal):
    facts = sniff_gguf(rehearsal)
    reader = gguf.GGUFReader(rehearsal)  # the format's own library is the oracle
    assert facts == GgufFacts(
        path=rehearsal,
        file_bytes=rehearsal.stat().st_size,
        architecture="llama",
        name="understudy rehearsal",
        context=262_144,
        parameters=sum(int(tensor.n_elements) for tensor in reader.tensors),
        quantization="F32",
        vocabulary=len(reader.fields["tokenizer.ggml.tokens"].data),
        chat_template=TEMPLATES["hermes"],
        kv_bytes=2 * (64 + 64),
    )


SIZES = [("block_count", 4), ("embedding_length", 64), ("attention.head_count", 8)]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (SIZES, 4 * 8 * (8 + 8) * 2),
        ([*SIZES, ("attention.head_count_kv", 2)], 4 * 2 * (8 + 8) * 2),
        ([*SIZES, ("attention.head_count_kv", [2, 0, 0, 2])], 4 * (8 + 8) * 2),
        ([*SIZES, ("attention.key_length", 32), ("attention.value_length", 16)], 4 * 8 * (32 + 16) * 2),
        ([*SIZES, ("full_attention_interval", 4), ("attention.head_count_kv", 2)], 1 * 2 * (8 + 8) * 2),
        (
            [
                *SIZES,
                ("attention.key_length_mla", 24),
                ("attention.kv_lora_rank", 32),
                ("rope.dimension_count", 8),
            ],
            4 * (32 + 8) * 2,
        ),
        ([], 0),
    ],
    ids=["all heads", "grouped", "by layer", "lengths", "hybrid", "latent", "nothing"],
)
def test_kv_bytes(tmp_path, numbers, expected):
    assert sniff_gguf(write(tmp_path / "m.gguf", numbers=numbers)).kv_bytes == expected


def test_quantization_is_what_most_weights_have(tmp_path):
    tensors = [("a", np.zeros(10, np.float32)), ("b", np.zeros(64, np.float16))]
    facts = sniff_gguf(write(tmp_path / "m.gguf", tensors=tensors))
    assert (facts.quantization, facts.parameters) == ("F16", 74)


def bad(path):
    with pytest.raises(BadModel) as caught:
        sniff_gguf(path)
    return caught.value.message


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is not a GGUF"),
        (b"GGU", "is not a GGUF"),
        (b"<html>not found</html>", "is not a GGUF"),
        (b"GGUF", "cut off"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<QcI", 1, b"a", 99), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<QcIIQ", 1, b"a", 9, 99, 1), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<QcIIQ", 1, b"a", 9, 8, 2**62), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<QcI", 1, b"t", 9), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "no language model"),
    ],
    ids=[
        "empty",
        "short",
        "html",
        "magic only",
        "old",
        "keys",
        "type",
        "array type",
        "strings",
        "shape",
        "no architecture",
    ],
)
def test_what_is_no_model_is_said(tmp_path, content, complaint):
    (tmp_path / "m.gguf").write_bytes(content)
    assert complaint in bad(tmp_path / "m.gguf")


def test_unreadable_paths(tmp_path):
    assert "No such file" in bad(tmp_path / "nothing.gguf")
    assert "directory" in bad(tmp_path)


def test_projectors_are_no_models(tmp_path):
    write(tmp_path / "m.gguf", architecture="clip", strings=[("general.type", "mmproj")])
    assert "projector" in bad(tmp_path / "m.gguf")


@given(share=st.floats(0, 0.97))
def test_every_cut_of_a_file_is_noticed(rehearsal, tmp_path_factory, share):
    cut = tmp_path_factory.mktemp("cut") / "m.gguf"
    whole = rehearsal.read_bytes()
    cut.write_bytes(whole[: int(share * len(whole))])
    assert "m.gguf is" in bad(cut)


def test_split_models_need_all_their_parts(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "m-00001-of-00002.gguf", "llama")
    writer.add_uint16("split.count", 2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert "m-00002-of-00002.gguf is not beside it" in bad(tmp_path / "m-00001-of-00002.gguf")
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(bytes(1000))
    first = tmp_path / "m-00001-of-00002.gguf"
    assert sniff_gguf(first).file_bytes == first.stat().st_size + 1000


@pytest.mark.parametrize(
    ("free", "slots", "changes", "expected"),
    [
        (100 * GB, 1, {}, 262_144),
        (20 * GB, 1, {}, 49_408),
        (20 * GB, 2, {}, 24_576),
        (100 * GB, 1, {"context": 0, "kv_bytes": 10**6}, 80_384),
        (100 * GB, 1, {"context": 1000}, 768),
        (100 * GB, 1, {"context": 100}, 100),
        (10 * GB, 1, {"kv_bytes": 0, "file_bytes": GB, "vocabulary": 0}, 262_144),
    ],
    ids=["all it knows", "what fits", "shared by slots", "unknown context", "small", "tiny", "no KV"],
)
def test_context_follows_memory(rehearsal, free, slots, changes, expected):
    facts = replace(sniff_gguf(rehearsal), file_bytes=10 * GB, kv_bytes=170_000, vocabulary=150_000)
    assert pick_context(replace(facts, **changes), free, slots=slots) == expected


@pytest.mark.parametrize("free", [0, -1, 10 * GB, 11 * GB])
def test_too_little_memory_is_said_before_loading(rehearsal, free):
    facts = replace(sniff_gguf(rehearsal), file_bytes=10 * GB, kv_bytes=170_000)
    with pytest.raises(BadModel, match=r"needs about 11\.0 GB of memory and .* choose a smaller"):
        pick_context(facts, free)
