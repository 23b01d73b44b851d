"""What both peers do besides serving: the plain export in ONNX Runtime as it comes, numpy's own latents, npy bytes.

``PEER_MODEL`` is the file, ``PEER_PROVIDER`` is cpu or cuda. Nothing here is of drawwell.
"""

import io
import os

import numpy as np
import onnxruntime
from pydantic import BaseModel


class Draw(BaseModel):
    """The body of a request."""

    seed: int
    count: int = 1


class Generator:
    """One session, which every thread may run."""

    def __init__(self) -> None:
        expected = f"{os.environ['PEER_PROVIDER'].upper()}ExecutionProvider"
        if expected.startswith("CUDA"):
            onnxruntime.preload_dlls()
        self._session = onnxruntime.InferenceSession(os.environ["PEER_MODEL"], providers=[expected])
        if self._session.get_providers()[0] != expected:
            raise SystemExit(f"{expected} is not available on this machine")
        self._latent_dim = self._session.get_inputs()[0].shape[1]

    def latents(self, asked: Draw) -> np.ndarray:
        """Float32 ``[count, D]``."""
        return np.random.default_rng(asked.seed).standard_normal((asked.count, self._latent_dim), dtype=np.float32)

    def images(self, z: np.ndarray) -> np.ndarray:
        """Float32 ``[N, C, H, W]`` in [-1, 1]."""
        images: np.ndarray = self._session.run(None, {"z": z})[0]
        return images


def to_npy(images: np.ndarray) -> bytes:
    """Images in [-1, 1] as the bytes of an npy file, uint8 ``[N, H, W, C]``."""
    levels = images * np.float32(127.5)
    levels += np.float32(127.5)
    np.rint(levels, out=levels)  # a tanh leaves nothing to clip
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(levels.astype(np.uint8).transpose(0, 2, 3, 1)))
    return stream.getvalue()
