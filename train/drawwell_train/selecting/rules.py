"""The rules: which images pass the gate, and which of those that pass are kept."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drawwell.errors import RequestError
from drawwell.files.selected import Rule
from drawwell_train.data.classes import LabelArray
from drawwell_train.evaluation.classifier import Scores

MARGIN_NATS = 1.0
"""The margin of ``confident``: the asked class is e times as likely as any other, so that images between two classes go. A larger
margin takes variety away, since what a classifier is surest of is the most typical."""
DIVERSE_SHARE = 0.5
"""The share that ``diverse`` keeps: with all of them there would be nothing to spread."""

Rows = npt.NDArray[np.int64]
Gaps = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Criteria:
    """A rule with its thresholds.

    An image passes if its gap is above ``margin``. Of the images that pass, ``keep_share`` are kept: the first ones with ``agree``,
    the ones with the largest gaps with ``confident``, the ones that lie farthest apart with ``diverse``.
    """

    rule: Rule
    margin: float
    keep_share: float

    def passing(self, gaps: Gaps) -> npt.NDArray[np.bool_]:
        """Return whether each image passes, bool ``[N]``."""
        return gaps > self.margin

    def best(self, gaps: Gaps, features: npt.NDArray[np.float32], count: int) -> Rows:
        """Return the rows of the ``count`` images to keep of ``N`` that passed, ascending int64 ``[count]``."""
        if self.rule == "diverse":
            return np.sort(farthest_points(features, count))
        if self.rule == "confident":
            return np.sort(np.argsort(-gaps, kind="stable")[:count])
        return np.arange(count)


def read_criteria(rule: Rule, margin: float | None, keep_share: float | None) -> Criteria:
    """Return the rule with its thresholds, by default its own ones. Raises ``RequestError`` for thresholds that it cannot have."""
    if margin is not None and rule != "confident":
        raise RequestError(f"--margin is for --rule confident, not for {rule}: leave it out")
    if keep_share is not None and rule == "agree":
        raise RequestError("--keep-share is for --rule confident or diverse: agree keeps all images that pass")
    if margin is not None and not 0 <= margin < 100:
        raise RequestError(f"--margin must be in nats, from 0 to 100, not {margin:g}")
    if keep_share is not None and not 0.01 <= keep_share <= 1:
        raise RequestError(f"--keep-share must be a share from 0.01 to 1, not {keep_share:g}")
    default_margin = MARGIN_NATS if rule == "confident" else 0.0
    default_share = DIVERSE_SHARE if rule == "diverse" else 1.0
    return Criteria(
        rule, default_margin if margin is None else margin, default_share if keep_share is None else keep_share
    )


def gaps_of(scores: Scores, labels: LabelArray) -> Gaps:
    """Return how far the log-probability of each image's label lies above every other class, float32 ``[N]``, in nats.

    It is negative where the classifier names another class.
    """
    others = scores.log_probabilities.copy()
    rows = np.arange(len(labels))
    own = others[rows, labels]
    others[rows, labels] = -np.inf
    gaps: Gaps = own - others.max(1)
    return gaps


def farthest_points(features: npt.NDArray[np.float32], count: int) -> Rows:
    """Return ``count`` rows of ``features``, float32 ``[N, F]``, that cover them: each the farthest from the rows before it.

    This greedy k-centre (Gonzalez 1985) is the core set of Sener and Savarese 2018, "Active learning for convolutional neural
    networks: a core-set approach", algorithm 1. The first row is the one nearest to the mean.

    Example:
        >>> farthest_points(np.array([[0.0], [0.1], [5.0], [9.0]], np.float32), 3).tolist()
        [2, 0, 3]
    """
    squares = (features**2).sum(1)

    def distances_to(point: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = squares - 2 * (features @ point) + (point**2).sum()
        return found

    chosen = [int(distances_to(features.mean(0)).argmin())]
    nearest = distances_to(features[chosen[0]])
    while len(chosen) < count:
        nearest[chosen[-1]] = -np.inf
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, distances_to(features[chosen[-1]]))
    return np.array(chosen)
