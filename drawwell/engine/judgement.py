"""What a discriminator says of one picture."""

import math
from dataclasses import dataclass
from typing import Any

from drawwell.files.discriminator_card import DiscriminatorCard, LogitScale


@dataclass(frozen=True)
class Judgement:
    """The discriminator's opinion of one picture.

    Attributes:
        logit: What the discriminator computes: the higher, the more real. With classes, under ``label``.
        probability: Its probability that the picture is real, among as many real as drawn ones; None if its loss gives none.
        percentile_real: The percentage of held-out real pictures with a lower logit, in [0, 100].
        percentile_drawn: The percentage of drawn pictures with a lower logit, in [0, 100].
        label: With classes: the label that was given, or else the class that its features name; None without classes.
        class_name: The name of this class.
    """

    logit: float
    probability: float | None
    percentile_real: float
    percentile_drawn: float
    label: int | None = None
    class_name: str | None = None

    @classmethod
    def of(cls, card: DiscriminatorCard, logit: float, label: int | None, is_given: bool) -> "Judgement":
        """Place a logit on the scale of the card. ``is_given`` says whether the label was given, and not found."""
        scale = scale_of(card, is_given)
        return cls(
            logit,
            card.probability(logit),
            scale.real.percentile(logit),
            scale.drawn.percentile(logit),
            label,
            None if label is None else card.class_names[label],
        )

    def in_words(self, card: DiscriminatorCard) -> dict[str, str]:
        """The rows of a table for people, by their headings."""
        scale = card.scale
        chance = f"none: {card.why_no_probability()}" if self.probability is None else f"{100 * self.probability:.1f} %"
        return {
            "Logit": f"{self.logit:.3f}",
            "p(real)": chance,
            "Among real pictures": f"{_place(self.percentile_real)} {scale.real.pictures:,} that were held out",
            "Among drawn pictures": f"{_place(self.percentile_drawn)} {scale.drawn.pictures:,} drawn ones",
            **({} if self.class_name is None else {"Class": self.class_name}),
        }

    def to_json(self) -> dict[str, Any]:
        """The judgement as ``POST /judge`` sends it."""
        fields = {
            "logit": self.logit,
            "p_real": self.probability,
            "percentile_real": self.percentile_real,
            "percentile_drawn": self.percentile_drawn,
        }
        return fields if self.label is None else fields | {"label": self.label, "class": self.class_name}


def scale_of(card: DiscriminatorCard, is_given: bool) -> LogitScale:
    """The scale for logits under a given label, or under the class that was found."""
    return card.scale if is_given or card.named_class_scale is None else card.named_class_scale


def _place(percentile: float) -> str:
    return f"it looks more real than {math.floor(percentile)} % of"
