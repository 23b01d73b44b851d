"""The address book: ``(seed, index)`` to latents and a label, by arithmetic alone.

The bits come from Philox4x64-10, the counter-based generator of Salmon et al., "Parallel random numbers: as
easy as 1, 2, 3" (SC'11), with the key ``(seed, 0)``. The 256-bit counter counts blocks of four 64-bit words.
Every index owns a fixed run of blocks: index ``i`` owns the blocks ``i * B`` to ``i * B + B - 1`` with
``B = ceil((1 + W) / 4)``, where ``W`` is the number of words that ``dim`` numbers take. Word 0 of a run is
the label's (its high half) and the member's of a mixture (its low half), the words after it are the latents', the
rest is left unused. Labels and members therefore never move a latent, and a contiguous range of indices is one
uninterrupted stretch of the stream.

Bits become numbers by our own arithmetic, because numpy keeps ``random_raw`` stable and its distributions not:

- ``normal``: Box and Muller (1958) in float64. One word ``w`` gives two numbers: with ``u = ((w >> 32) + 1) / 2**32``
  in (0, 1] and ``a = 2 pi (w mod 2**32) / 2**32``, they are ``sqrt(-2 ln u) cos a`` and ``sqrt(-2 ln u) sin a``,
  rounded to float32, in this order. An odd ``dim`` leaves its last sine unused.
- ``uniform`` on [-1, 1): one word gives one number, ``(w >> 40) / 2**23 - 1``, which float32 holds exactly.
"""

import math
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import CheckedIndices, Indices, check_indices, check_seed
from drawwell.pieces import slices

Prior = Literal["normal", "uniform"]
"""The distribution of one latent: N(0, 1), or uniform on [-1, 1) as in Radford et al. 2015."""

_WORDS_PER_BLOCK, _WORDS_AT_ONCE = 4, 2**20
_COUNTER_LIMIT, _WORD = 2**256, 2**64 - 1
_HALF, _LOW_HALF = np.uint64(32), np.uint64(2**32 - 1)


@dataclass(frozen=True, eq=False)
class AddressWords:
    """The words of some addresses, from which latents, labels and members come.

    Attributes:
        words: uint64 ``[N, 4 B]``: the run of each address.
        dim: The number of latents of an image.
        prior: The distribution of one latent.
    """

    words: npt.NDArray[np.uint64]
    dim: int
    prior: Prior = "normal"

    def latents(self) -> npt.NDArray[np.float32]:
        """Return float32 ``[N, dim]``."""
        words = self.words[:, 1 : 1 + _latent_words(self.dim, self.prior)]
        return _box_muller(words)[:, : self.dim] if self.prior == "normal" else _uniform(words)

    def labels(self, classes: int) -> npt.NDArray[np.int64]:
        """Return int64 ``[N]`` in [0, classes), from word 0 of each run: ``((w >> 32) * classes) >> 32``."""
        return ((self.words[:, 0] >> _HALF) * np.uint64(classes) >> _HALF).astype(np.int64)

    def members(self, count: int) -> npt.NDArray[np.int64]:
        """Return int64 ``[N]`` in [0, count): which generator of a mixture of ``count`` draws each image.

        From the low half of word 0 of each run, ``((w mod 2**32) * count) >> 32``: labels come from the high half, so that
        each member draws every class as often as the others.
        """
        low = self.words[:, 0] & _LOW_HALF
        return (low * np.uint64(count) >> _HALF).astype(np.int64)


def address_words(seed: int, indices: Indices, dim: int, prior: Prior = "normal") -> AddressWords:
    """Return the words of the addresses ``(seed, indices[i])``; row ``i`` depends on ``(seed, indices[i], dim, prior)`` alone.

    A ``range`` with step 1 is one vectorised call; any other sequence costs a few microseconds an image more.
    Raises ``ValueError`` for a seed or an index outside [0, 2**63), ``TypeError`` for one that is no integer.
    """
    blocks, key = _blocks(dim, prior), check_seed(seed)
    stretches = [
        _philox.read(key, first * blocks, count * blocks * _WORDS_PER_BLOCK)
        for first, count in _contiguous(check_indices(indices))
    ]
    raw = stretches[0] if len(stretches) == 1 else np.concatenate([np.empty(0, np.uint64), *stretches])
    return AddressWords(raw.reshape(-1, blocks * _WORDS_PER_BLOCK), dim, prior)


def latents(seed: int, indices: Indices, dim: int, prior: Prior = "normal") -> npt.NDArray[np.float32]:
    """Return float32 ``[len(indices), dim]``, the latents of the addresses. Raises as ``address_words``."""
    return address_words(seed, indices, dim, prior).latents()


def labels(seed: int, indices: Indices, classes: int, dim: int, prior: Prior = "normal") -> npt.NDArray[np.int64]:
    """Return int64 ``[len(indices)]``, the labels of the addresses. Raises as ``address_words``."""
    return _by_pieces(seed, indices, dim, prior, lambda words: words.labels(classes))


def members(seed: int, indices: Indices, count: int, dim: int, prior: Prior = "normal") -> npt.NDArray[np.int64]:
    """Return int64 ``[len(indices)]``: which generator of a mixture of ``count`` draws each address. Raises as ``address_words``."""
    return _by_pieces(seed, indices, dim, prior, lambda words: words.members(count))


def _by_pieces(
    seed: int, indices: Indices, dim: int, prior: Prior, of_words: Callable[[AddressWords], npt.NDArray[np.int64]]
) -> npt.NDArray[np.int64]:
    """Return a number for each address. Some addresses at a time: the words of a million take 400 MB."""
    checked = check_indices(indices)
    size = max(1, _WORDS_AT_ONCE // (_blocks(dim, prior) * _WORDS_PER_BLOCK))
    found = np.empty(len(checked), np.int64)
    for piece in slices(len(checked), size):
        found[piece] = of_words(address_words(seed, checked[piece], dim, prior))
    return found


def interpolate(
    first: npt.NDArray[np.float32], last: npt.NDArray[np.float32], steps: int, prior: Prior = "normal"
) -> npt.NDArray[np.float32]:
    """Return float32 ``[steps, D]``, ``steps`` at least 2, from latents ``first`` to ``last``, both float32 ``[D]`` and both included.

    With ``t = i / (steps - 1)``, for the normal prior spherically (Shoemake 1985, section 3.3; for latents White 2016,
    "Sampling Generative Networks"), since its latents lie near a sphere, inside of which a generator never learned:
    ``z(t) = sin((1 - t) w) / sin w * first + sin(t w) / sin w * last``, where ``cos w = first . last / (|first| |last|)``.
    For the uniform prior, and where ``sin w`` is below 1e-6, along the line: ``z(t) = (1 - t) first + t last``.
    """
    a, b = first.astype(np.float64), last.astype(np.float64)
    t = np.linspace(0, 1, steps)[:, None]
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    angle = math.acos(min(max(float(a @ b) / lengths, -1.0), 1.0)) if lengths else 0.0
    if prior == "uniform" or math.sin(angle) < 1e-6:
        between = (1 - t) * a + t * b
    else:
        between = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / math.sin(angle)
    return between.astype(np.float32)


def random_seed() -> int:
    """A seed that nobody chose, below 2**53 so that JSON carries it whole into languages whose numbers are float64."""
    return secrets.randbits(53)


def _latent_words(dim: int, prior: Prior) -> int:
    if dim < 1:
        raise ValueError(f"dim must be at least 1, not {dim}")
    if prior not in ("normal", "uniform"):
        raise ValueError(f"prior must be 'normal' or 'uniform', not {prior!r}")
    return (dim + 1) // 2 if prior == "normal" else dim


def _blocks(dim: int, prior: Prior) -> int:
    return -(-(1 + _latent_words(dim, prior)) // _WORDS_PER_BLOCK)


class _Philox(threading.local):
    """One of numpy's for each thread: setting its state takes a tenth of the time of making one."""

    def __init__(self) -> None:
        self._philox = np.random.Philox(key=0)
        self._state: Any = self._philox.state

    def read(self, key: int, block: int, words: int) -> npt.NDArray[np.uint64]:
        """The words from ``block`` on, uint64 ``[words]``."""
        before = (block - 1) % _COUNTER_LIMIT  # numpy adds 1 to the counter before it makes a block
        self._state["state"]["key"][0] = key
        self._state["state"]["counter"][:] = [before >> shift & _WORD for shift in (0, 64, 128, 192)]
        self._philox.state = self._state
        return self._philox.random_raw(words)


_philox = _Philox()


def _contiguous(indices: CheckedIndices) -> Iterator[tuple[int, int]]:
    """Yield ``(first, count)`` of each stretch of indices that follow one another."""
    if isinstance(indices, range):
        yield indices.start, len(indices)
        return
    for stretch in np.split(indices, np.flatnonzero(np.diff(indices) != 1) + 1):
        if len(stretch):
            yield int(stretch[0]), len(stretch)


def _box_muller(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    halves = np.ascontiguousarray(words, dtype="<u8").view("<u4").reshape(*words.shape, 2)  # low half, high half
    angle = halves[..., 0] * (2 * np.pi * 2.0**-32)
    radius = np.add(halves[..., 1], 1.0)
    radius *= 2.0**-32
    np.log(radius, out=radius)
    radius *= -2.0
    np.sqrt(radius, out=radius)
    normal = np.empty((*words.shape, 2), np.float32)
    np.multiply(radius, np.cos(angle), out=normal[..., 0], casting="same_kind")
    np.multiply(radius, np.sin(angle), out=normal[..., 1], casting="same_kind")
    return normal.reshape(len(words), 2 * words.shape[1])


def _uniform(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    return (words >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
