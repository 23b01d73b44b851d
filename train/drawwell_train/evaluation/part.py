"""The result of one part of an evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from drawwell.files.quality import Measure, Name


@dataclass(frozen=True)
class Part:
    """Measures, and remarks on the measures that are missing."""

    measures: Mapping[Name, Measure] = field(default_factory=dict)
    by_class: Mapping[Name, dict[str, Measure]] = field(default_factory=dict)
    by_latent_spread: Mapping[float, Measure] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
