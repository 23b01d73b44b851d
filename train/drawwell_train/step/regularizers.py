"""What D descends beside its loss: the penalties and the consistency that a configuration asks for, weighted."""

import functools

import torch
from torch import Tensor

from drawwell_train.config import TrainConfig, recipe_of
from drawwell_train.step.augment import furthest_shift
from drawwell_train.step.judge import Judge, Judged
from drawwell_train.step.penalties import gradient_penalty, inconsistency, squared_difference, squared_gradient


def regularization(
    judge: Judge, config: TrainConfig, step: int, real: Judged, fake: Judged, labels: Tensor | None
) -> Tensor:
    """The weighted sum at ``step``, a 0-d tensor; 0 where nothing was asked for."""
    recipe = recipe_of(config)
    total = real.logits.new_zeros(())
    if recipe.penalty:
        total = total + recipe.penalty * _gradient_penalty(judge, real, fake, labels)
    if step % recipe.penalty_every == 0:
        squared = _squared_gradient if recipe.penalty_form == "exact" else _squared_difference
        for gamma, judged in ((recipe.r1, real), (recipe.r2, fake)):
            if gamma:
                total = total + recipe.penalty_every * gamma / 2 * squared(judge, judged, labels)
    if recipe.consistency:
        total = total + recipe.consistency * _inconsistency(judge, config, real, labels)
    return total


def _gradient_penalty(judge: Judge, real: Judged, fake: Judged, labels: Tensor | None) -> Tensor:
    epsilon = judge.random(torch.rand, (len(real.logits),))
    ask = functools.partial(judge.network, label=labels)
    return gradient_penalty(ask, judge.tuples(real.images), judge.tuples(fake.images), epsilon)


def _squared_gradient(judge: Judge, judged: Judged, labels: Tensor | None) -> Tensor:
    """In float32: it is a gradient of a gradient, for which bfloat16 has too few digits."""
    return squared_gradient(functools.partial(judge.network, label=labels), judge.tuples(judged.images))


def _squared_difference(judge: Judge, judged: Judged, labels: Tensor | None) -> Tensor:
    noise = judge.random(torch.randn, tuple(judged.images.shape))
    both = None if labels is None else torch.cat([labels, labels])
    return squared_difference(lambda images: judge.judge(images, both).logits, judged.images.float(), noise)


def _inconsistency(judge: Judge, config: TrainConfig, real: Judged, labels: Tensor | None) -> Tensor:
    furthest, count = furthest_shift(real.images), len(real.images)
    rows, columns = (judge.random(functools.partial(torch.randint, -furthest, furthest + 1), (count,)) for _ in "yx")
    mirrored = judge.random(functools.partial(torch.randint, 2), (count,)) * config.flip > 0
    return inconsistency(
        lambda images: judge.judge(images, labels).logits, real.images, real.logits, rows, columns, mirrored
    )
