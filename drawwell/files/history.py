"""The curves of a training that a model card holds: few points, so that the card stays small."""

from dataclasses import dataclass
from typing import Annotated

import msgspec

MOST_POINTS = 64
"""Of a curve."""
MOST_VALUE = 1e30
"""Values beyond it are of a training that diverged, and no chart could show them."""

Step = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Value = Annotated[float, msgspec.Meta(ge=-MOST_VALUE, le=MOST_VALUE)]
Curve = Annotated[tuple[tuple[Step, Value], ...], msgspec.Meta(max_length=MOST_POINTS)]
"""Steps and the values there, in the order of the steps. Empty if the training did not measure them."""


@dataclass(frozen=True)
class TrainingHistory:
    """The numbers of one training by step, up to the exported one.

    ``kid`` is the squared maximum mean discrepancy of drawn images to real ones (Binkowski et al. 2018). ``diversity`` is the distance from
    a drawn image to the nearest other one, divided by the same distance in the data. ``d_real`` and ``d_fake`` are the discriminator's mean
    outputs for real and for drawn images.
    """

    kid: Curve = ()
    diversity: Curve = ()
    d_real: Curve = ()
    d_fake: Curve = ()
    gives_probabilities: bool = False
    """Whether the discriminator's outputs are probabilities of being real. Outputs of a critic have no fixed scale."""
