"""A curve of bounded length, for a run of any length."""

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
"""Steps and values, float64 ``[N, 2]``, in the order of the steps."""

_MOST_POINTS = 800
"""A chart is narrower in pixels."""


class Thinned:
    """All points of a curve, and when they become more than ``_MOST_POINTS``, the lowest and the highest of every 4, then of every 8,
    and so on: a spike of a single line stays, and so do the lowest and the highest value of the whole run.

    Attributes:
        bucket: the points of which two are kept; 1 while all are.
    """

    def __init__(self) -> None:
        self.bucket = 1
        self._kept: Points = np.empty((0, 2))
        self._rest: Points = np.empty((0, 2))
        """Of the bucket that is not full yet."""
        self._newest: Points = np.empty((0, 2))

    def add(self, points: Points) -> None:
        """Add points that follow those before."""
        if not len(points):
            return
        self._newest = points[-1:]
        self._fill(np.concatenate([self._rest, points]))
        while len(self._kept) > _MOST_POINTS:
            whole = len(self._kept) // 4 * 4
            kept, left = self._kept[:whole], self._kept[whole:]
            self.bucket = max(4, 2 * self.bucket)
            self._kept, self._rest = _extremes(kept, 4), np.concatenate([left, self._rest])

    def points(self) -> list[tuple[int, float]]:
        """The curve so far; its last point is the newest one."""
        points = np.concatenate([self._kept, _extremes(self._rest, len(self._rest))])
        if len(points) and points[-1, 0] < self._newest[-1, 0]:
            points = np.concatenate([points, self._newest])
        return [(int(step), value) for step, value in points.tolist()]

    def _fill(self, points: Points) -> None:
        whole = len(points) - len(points) % self.bucket
        self._kept = np.concatenate([self._kept, _extremes(points[:whole], self.bucket)])
        self._rest = points[whole:]


def _extremes(points: Points, size: int) -> Points:
    """The lowest and the highest of every ``size`` points, in the order of their steps. ``size`` divides their number."""
    if size <= 2:
        return points
    buckets = points.reshape(-1, size, 2)
    low, high = buckets[:, :, 1].argmin(1), buckets[:, :, 1].argmax(1)
    high = np.where(low == high, size - 1, high)  # all are equal
    places = np.sort(np.stack([low, high], axis=1), axis=1)
    return np.take_along_axis(buckets, places[:, :, None], axis=1).reshape(-1, 2)
