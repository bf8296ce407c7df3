from understudy.language.embedding import EmbeddingRequest, Embeddings


def test_they_are_values():
    assert EmbeddingRequest("m", ("a",)) == EmbeddingRequest("m", ("a",), None, "")
    assert len({Embeddings((b"[1]",)), Embeddings((b"[1]",), 0)}) == 1
