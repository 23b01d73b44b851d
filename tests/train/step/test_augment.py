"""DiffAugment: same shapes, gradients through it, one draw for each image, and nothing that a batch could betray."""

import pytest
import torch

from drawwell_train.presets import Change
from drawwell_train.step.augment import diff_augment

ALL: tuple[Change, ...] = ("color", "translation", "cutout")


def test_images_keep_their_shape_and_change_one_by_one() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 32, 32).expand(16, -1, -1, -1) * 2 - 1
    changed = diff_augment(image, -1.0, ALL)
    assert changed.shape == image.shape
    assert len({changed[i].sum().item() for i in range(16)}) == 16


def test_gradients_go_through_it() -> None:
    torch.manual_seed(0)
    images = (torch.rand(32, 3, 16, 16) * 2 - 1).requires_grad_(True)
    diff_augment(images, -1.0, ALL).sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None and images.grad.isfinite().all()
    assert (images.grad != 0).float().mean() > 0.5


def test_what_is_cut_out_or_moved_in_is_black() -> None:
    torch.manual_seed(0)
    for black in (-1.0, 0.0):
        changed = diff_augment(torch.full((64, 1, 16, 16), 0.9), black, ALL)
        assert ((changed == black).flatten(1).any(1)).all()
        assert (changed == black).float().mean() < 0.5


def test_two_processes_change_a_batch_as_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(8, 3, 16, 16)
    torch.manual_seed(3)
    whole = diff_augment(images, -1.0, ALL)
    shares = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        torch.manual_seed(3)
        shares.append(diff_augment(images[4 * rank : 4 * rank + 4], -1.0, ALL))
    assert torch.equal(torch.cat(shares), whole)
