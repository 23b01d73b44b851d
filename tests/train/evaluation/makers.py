"""Features, extractors and generators whose measures are known."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from drawwell.generator import Images
from drawwell_train.data.classes import LabelArray
from drawwell_train.data.images import ImageData
from drawwell_train.evaluation.extractors import Extractor
from drawwell_train.evaluation.source import Draw, Source

DIMENSIONS = 16


class Identity(nn.Module):
    """In the place of a network of torchmetrics: what comes in are the features."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.num_features = dimensions

    def forward(self, features: Tensor) -> Tensor:
        return features


def gaussian(mean: np.ndarray, covariance: np.ndarray, count: int, seed: int) -> npt.NDArray[np.float64]:
    """A sample whose mean and covariance are exactly these."""
    raw = np.random.default_rng(seed).standard_normal((count, len(mean)))
    raw -= raw.mean(0)
    raw = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    white: npt.NDArray[np.float64] = raw @ np.linalg.cholesky(covariance).T + mean
    return white


def projection() -> Extractor:
    """An extractor that costs nothing: 16 random projections of the pixels at 8 x 8."""

    def small(images: Images) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
        return nn.functional.adaptive_avg_pool2d(pixels, 8)

    weights = torch.randn(3 * 8 * 8, DIMENSIONS, generator=torch.Generator().manual_seed(0)) / 1000
    return Extractor("random projections", DIMENSIONS, small, lambda pixels: pixels.flatten(1) @ weights)


def source(draw: Draw, shape: tuple[int, int, int], class_names: tuple[str, ...] = ()) -> Source:
    """A generator that is this function."""
    return Source("made by hand", shape, class_names, draw)


def constant(shape: tuple[int, int, int], class_names: tuple[str, ...] = ()) -> Source:
    """It draws one grey image, whatever the address."""

    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:  # noqa: ARG001
        return np.full((len(indices), *shape), 128, np.uint8)

    return source(draw, shape, class_names)


def copier(real: ImageData) -> Source:
    """It draws real images, of the labels that it is asked for, none twice in one call where there are so many."""
    assert real.labels is not None
    places = [np.flatnonzero(real.labels == label) for label in range(len(real.class_names))]

    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:
        assert labels is not None
        chance, rows = np.random.default_rng([seed, indices.start]), np.empty(len(labels), np.int64)
        for label, own in enumerate(places):
            expected = labels == label
            rows[expected] = np.resize(chance.permutation(own), expected.sum())
        return real.images[rows]

    return source(draw, real.images.shape[1:], real.class_names)


def folder(path: Path, images: Images, names: list[str]) -> Path:
    """A folder of pictures, each in the folder of its class."""
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        (path / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze()).save(path / name / f"{number}.png", compress_level=0)
    return path
