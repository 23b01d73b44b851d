"""Every preset is exported for every target, with classes and without, and draws torch's pixels."""

import copy
import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from drawwell.engine.engine import Engine
from drawwell.files.card import Target
from drawwell_export import graph, main, parity, parts
from drawwell_export.main import ExportConfig, export
from drawwell_export.targets import RECIPES
from drawwell_train.networks.base import GeneratorNetwork
from drawwell_train.presets import PRESETS, PresetName
from drawwell_train.run import checkpoint, identity
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.step import state
from tests.train.configs import configured

CLASSES = ("shirt", "shoe", "bag")


@cache
def checkpoint_of(preset: PresetName, classes: tuple[str, ...] = (), **options: Any) -> Checkpoint:
    """Narrow and untrained, but with batch norms that have seen something, and images of some contrast."""
    config = configured(
        data="noise",
        out=Path("noise"),
        width=16,
        latent_dim=12,
        preset=preset,
        class_names=classes,
        **options,
    )
    built = state.build(config, torch.device("cpu"))
    liven(built.ema)
    for parameter in built.discriminator.parameters():  # so that its features tell images apart
        parameter.data.mul_(5 if parameter.dim() == 4 else 1)
    return Checkpoint(1, config, state.to_tensors(built))


@torch.no_grad()
def liven(generator: GeneratorNetwork) -> None:
    torch.manual_seed(1)  # equal generators share a graph, whatever their discriminators
    z, label = torch.randn(32, 12), torch.arange(32) % len(CLASSES)
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.0, 0.3)
    generator.train()
    for _ in range(3):
        generator(z, label)
    generator.eval()
    last_layer, activation = generator.head
    generator.head[1] = nn.Identity()
    contrast = generator(z, label).std()
    generator.head[1] = activation
    for parameter in last_layer.parameters():
        parameter.div_(contrast)


@pytest.fixture(autouse=True, scope="module")
def short() -> Iterator[None]:
    """Fewer images than a real export compares, and one tracing, of a second each, for the files that have one graph."""
    traced: dict[Any, onnx.ModelProto] = {}

    def once(generator: GeneratorNetwork, latent_dim: int, rewrites: Any, dtype: torch.dtype) -> onnx.ModelProto:
        weights = b"".join(tensor.numpy().tobytes() for tensor in generator.state_dict().values())
        key = type(generator), weights, rewrites, dtype
        if key not in traced:
            traced[key] = graph_export(generator, latent_dim, rewrites, dtype)
        return copy.deepcopy(traced[key])

    graph_export = graph.export
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "export", once)
        patch.setattr(parts, "CALIBRATION_IMAGES", 128)
        for target, recipe in RECIPES.items():
            patch.setitem(RECIPES, target, dataclasses.replace(recipe, addresses=66))
        yield


KINDS = ("Gemm", "ConvTranspose", "Conv", "QLinearConv", "Resize", "BatchNormalization")
GRAPHS: dict[str, dict[Target, tuple[int, ...]]] = {
    "mlp": {
        "portable": (3, 0, 0, 0, 0, 0),
        "cpu": (3, 0, 0, 0, 0, 0),
        "cpu-int8": (3, 0, 0, 0, 0, 0),
        "cuda": (3, 0, 0, 0, 0, 0),
    },
    "cnn": {  # one batch norm comes after an activation, one after a reshape
        "portable": (1, 2, 0, 0, 0, 2),
        "cpu": (1, 1, 4, 0, 0, 2),
        "cpu-int8": (1, 1, 4, 0, 0, 2),  # the convolutions see numbers below 0
        "cuda": (1, 2, 0, 0, 0, 2),
    },
    "deep-cnn": {
        "portable": (1, 0, 4, 0, 2, 0),
        "cpu": (1, 0, 10, 0, 0, 0),
        "cpu-int8": (1, 0, 1, 9, 0, 0),
        "cuda": (1, 2, 2, 0, 0, 0),
    },
    "dcgan": {
        "portable": (0, 3, 0, 0, 0, 0),
        "cpu": (1, 1, 4, 0, 0, 0),
        "cpu-int8": (1, 1, 0, 4, 0, 0),
        "cuda": (1, 2, 0, 0, 0, 0),
    },
}
"""What becomes of the layers: how many nodes of each of ``KINDS`` the file has."""


@pytest.mark.parametrize("classes", [(), CLASSES], ids=["no classes", "classes"])
@pytest.mark.parametrize("target", get_args(Target))
@pytest.mark.parametrize("preset", PRESETS)
def test_the_pixels_are_torchs_and_the_layers_the_fastest(
    preset: PresetName, target: Target, classes: tuple[str, ...], tmp_path: Path
) -> None:
    trained, recipe = checkpoint_of(preset, classes), RECIPES[target]
    engine = export(trained, tmp_path / "generator.onnx", target)
    assert (engine.card.target, engine.card.class_names) == (target, classes)
    inputs = engine.feeds(7, range(100))
    assert list(inputs) == (["z", "label"] if classes else ["z"])
    expected = parity.by_torch(state.load_ema(trained.config, trained.tensors))(inputs).astype(int)
    distance = np.abs(engine.generate(7, 100).images - expected)
    assert distance.mean() <= recipe.mean_levels
    assert distance.max() <= recipe.max_levels
    assert expected.std() > 20
    if classes:
        looks_at_its_label(engine)
    nodes = Counter(node.op_type for node in onnx.load(tmp_path / "generator.onnx").graph.node)
    assert (
        tuple(nodes[kind] for kind in KINDS)
        == GRAPHS["dcgan" if PRESETS[preset].architecture == "sngan" else PRESETS[preset].architecture][target]
    )


def looks_at_its_label(engine: Engine) -> None:
    z = engine.feeds(7, range(4))["z"]
    by_label = [engine.draw({"z": z, "label": np.full(4, label)}).astype(int) for label in range(len(CLASSES))]
    for one, other in ((0, 1), (1, 2), (2, 0)):
        assert (np.abs(by_label[one] - by_label[other]).reshape(4, -1).max(1) > 0).all()
    mixed = engine.draw({"z": z, "label": np.array([2, 0, 1, 2])})
    assert np.array_equal(mixed, np.stack([by_label[label][place] for place, label in enumerate([2, 0, 1, 2])]))


def test_a_label_is_a_lookup_and_a_few_columns() -> None:
    plain, labelled = (
        Counter(node.op_type for node in graph.export(generator, 12, recipe.rewrites, recipe.dtype).graph.node)
        for recipe in [RECIPES["cpu"]]
        for trained in (checkpoint_of("dcgan"), checkpoint_of("dcgan", CLASSES))
        for generator in [state.load_ema(trained.config, trained.tensors)]
    )
    assert labelled - plain == Counter({"Gather": 1, "Concat": 1})
    assert not plain - labelled


@pytest.mark.parametrize(("preset", "in_float"), [("mlp", True), ("cnn", True), ("dcgan", False)])
def test_what_has_nothing_for_integers_is_said(
    preset: PresetName, in_float: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.save(tmp_path / "checkpoints", checkpoint_of(preset), 1)
    main.main(ExportConfig((tmp_path,), "cpu-int8"))
    assert ("no layer for 8-bit integers" in " ".join(capsys.readouterr().err.split())) == in_float


@pytest.mark.parametrize(
    "options", [{"pack": 3, "batch_size": 66}, {"spectral_norm": True}], ids=["packed", "spectral"]
)
@pytest.mark.parametrize("preset", ["deep-cnn", "dcgan"])
def test_every_discriminator_sees_what_int8_costs(preset: PresetName, options: dict[str, Any], tmp_path: Path) -> None:
    engine = export(checkpoint_of(preset, **options), tmp_path / "generator.onnx", "cpu-int8")
    found = engine.card.parity.feature_distance
    assert found is not None
    assert found.images == 33
    assert found.floor > 0
    assert found.drawn > 0


@pytest.mark.parametrize(("preset", "black"), [("deep-cnn", 0), ("dcgan", -1)])
def test_the_discriminator_is_shown_images_as_it_was_trained_on(
    preset: PresetName, black: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def packed(images: torch.Tensor, _: int) -> torch.Tensor:
        seen.append(images)
        return images

    monkeypatch.setattr(parity, "packed", packed)
    export(checkpoint_of(preset), tmp_path / "generator.onnx", "cpu-int8").close()
    darkest, lightest = torch.cat(seen).aminmax()
    assert black <= darkest < black + 0.7
    assert 0.5 < lightest <= 1


OLD_OPTIONS = (
    "data out name license size channels width latent_dim prior steps batch_size d_steps learning_rate beta1 "
    "ema_halflife_images seed device precision threads log_every sample_every save_every keep dry_run"
)


def test_a_checkpoint_from_before_there_were_presets_is_exported(tmp_path: Path) -> None:
    trained = checkpoint_of("dcgan")
    folder = checkpoint.save(tmp_path / "checkpoints", trained, 1)
    saved, manifest = (json.loads((folder / name).read_text()) for name in ("state.json", "manifest.json"))
    resolved = identity.to_dict(trained.config)
    del saved["format"]
    content = json.dumps(saved | {"config": {name: resolved[name] for name in OLD_OPTIONS.split()}})
    (folder / "state.json").write_text(content)
    (folder / "manifest.json").write_text(
        json.dumps(manifest | {"state.json": hashlib.sha256(content.encode()).hexdigest()})
    )
    old, damaged = checkpoint.find(tmp_path, None)
    assert not damaged
    engine = export(old, tmp_path / "generator.onnx")
    assert engine.card.prior == "normal"
    expected = parity.by_torch(state.load_ema(trained.config, trained.tensors))(engine.feeds(7, range(50)))
    assert np.abs(engine.generate(7, 50).images - expected.astype(int)).max() <= 1
