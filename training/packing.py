"""Weights -> the bytes of `tasks.npz`: int8, one scale for all, and the same bytes each time."""

import zipfile
from io import BytesIO

import numpy as np

from training import lexicon
from training.fitting import Weights

LARGEST = 127
CLIPPED = 99.995
"""The percentile above which a weight is cut: a few very large ones would make all others coarse."""
EPOCH = (1980, 1, 1, 0, 0, 0)


def packed(weights: Weights, temperature: float) -> bytes:
    """The table; the temperature by which confidences are made honest is in the scale."""
    top = float(np.percentile(np.abs(weights.rows[weights.rows != 0]), CLIPPED))
    steps = np.clip(np.rint(weights.rows / top * LARGEST), -LARGEST, LARGEST).astype(np.int8)
    places, groups = lexicon.keys(lexicon.WORDS.read_text(encoding="utf-8"))
    return zipped(
        weights=steps,
        scale=np.float32(top / LARGEST / temperature),
        bias=(weights.bias / temperature).astype(np.float32),
        keys=places,
        groups=groups,
    )


def zipped(**parts: np.ndarray) -> bytes:
    """What `np.savez_compressed` writes, without the time at which it was written."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, part in parts.items():
            data = BytesIO()
            np.lib.format.write_array(data, np.asanyarray(part), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), data.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return out.getvalue()
