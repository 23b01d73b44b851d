"""Checkpoints of other versions are read as what they were, or refused with a sentence; a preset that changes changes no run."""

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from drawwell_train import presets
from drawwell_train.options import TrainOptions, resolved
from drawwell_train.run import checkpoint, identity
from drawwell_train.run.checkpoint_format import FORMAT, FormatError
from drawwell_train.step import state as states
from drawwell_train.step.batches import Real
from drawwell_train.step.steps import train_step
from tests.train.configs import configured

KEPT = Path(__file__).with_name("checkpoints")
"""One of each format and preset, written by the version that wrote that format, after 3 steps."""
DIGESTS = {
    "format-1-dcgan": "c4cd6a9c8432763d4f125bd041d969691cf24d2df8401d7d2117edb3684485b9",
    "format-1-mlp": "c554888db1c17eae3882fb1c4355cfe215e54d721f9c8d7655c99d5957ba3b5e",
    "format-2-sngan": "7bc6c6d460e66142132837de47449b962c7340a48d5e4dd20105d1db8271c13f",
}


def rewritten(name: str, folder: Path, **changes: object) -> Path:
    """A kept checkpoint with other values in its ``state.json``, whole all the same."""
    source = KEPT / name / "step-00000003"
    contents = {file: (source / file).read_bytes() for file in ("tensors.safetensors", "state.json")}
    state = json.loads(contents["state.json"]) | changes
    checkpoint.write_folder(folder / "step-00000003", contents | {"state.json": json.dumps(state).encode()})
    return folder


def state_of(name: str) -> dict[str, dict[str, object]]:
    loaded: dict[str, dict[str, object]] = json.loads((KEPT / name / "step-00000003" / "state.json").read_text())
    return loaded


@pytest.mark.parametrize("name", DIGESTS)
def test_a_kept_checkpoint_is_read_and_goes_on(name: str) -> None:
    found, passed_over = checkpoint.load_latest(KEPT / name)
    assert found is not None and passed_over == []
    assert identity.digest(found.config) == DIGESTS[name], (
        "what a step computes has another meaning than when it was kept"
    )
    config = replace(found.config, steps=10 if found.config.schedule == "constant" else found.config.steps)
    state = states.build(config, torch.device("cpu"))
    states.restore(state, found.tensors, 2)
    assert states.digest(states.to_tensors(state)) == states.digest(found.tensors)
    labels = torch.arange(8) % 2 if config.conditional else None
    stats = train_step(state, config, lambda: Real(torch.rand(8, 1, 28, 28), labels))
    assert all(value.isfinite() for value in stats.values())


def test_every_kept_checkpoint_is_tested() -> None:
    assert {path.name for path in KEPT.iterdir()} == set(DIGESTS)
    assert any(name.startswith(f"format-{FORMAT}-") for name in DIGESTS)


def test_what_format_1_did_not_write_is_what_it_meant() -> None:
    dcgan, mlp = (checkpoint.load(KEPT / name / "step-00000003").config for name in ("format-1-dcgan", "format-1-mlp"))
    assert dcgan.diffaugment_policy == ("color", "translation", "cutout")
    assert (dcgan.d_norm, dcgan.one_pass, dcgan.schedule, dcgan.ema_halflife_images) == (
        "spectral",
        False,
        "constant",
        10_000,
    )
    assert (mlp.sigmoid, mlp.epsilon, mlp.diffaugment_policy) == (
        True,
        1e-7,
        ("color", "translation"),
    )


@pytest.mark.parametrize("preset", ["mlp", "cnn", "deep-cnn", "dcgan", "wgan", "wgan-gp"])
def test_the_presets_of_format_1_are_still_those_of_today(preset: str, tmp_path: Path) -> None:
    """So that its runs can be continued by the same command. Where one is changed on purpose, leave it out here."""
    config = state_of("format-1-mlp")["config"]
    today = configured(preset=preset)
    written = {
        name: getattr(today, name) for name in ("width", "loss", "batch_size", "d_steps", "learning_rate", "beta1")
    }
    folder = rewritten("format-1-mlp", tmp_path, config={**config, **written, "preset": preset})
    then = checkpoint.load(folder / "step-00000003").config
    assert identity.to_dict(then)["recipe"] == identity.to_dict(today)["recipe"]


def test_a_preset_that_changed_is_named_and_changes_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    before = checkpoint.load(KEPT / "format-2-sngan" / "step-00000003").config
    monkeypatch.setitem(presets.PRESETS, "sngan", replace(presets.PRESETS["sngan"], beta2=0.9, beta1=0.0))
    names = [
        field.name for field in fields(TrainOptions) if field.name not in ("beta1", "learning_rate", "spectral_norm")
    ]
    options = TrainOptions(**{name: getattr(before, name) for name in names})
    now = resolved(options, class_names=before.class_names, data_sha256=before.data_sha256)
    assert (before.beta2, now.beta2) == (0.999, 0.9)
    assert identity.differences(before, now) == [
        "beta1 was 0.5, is 0.0",
        "beta2 of preset sngan: beta2 was 0.999, is 0.9",
    ]
    assert identity.digest(before) != identity.digest(now)


def test_a_linear_schedule_keeps_a_run_from_being_made_longer() -> None:
    linear, constant = (configured(schedule=schedule) for schedule in ("linear", "constant"))
    assert identity.differences(constant, replace(constant, steps=5)) == []
    assert identity.digest(constant) == identity.digest(replace(constant, steps=5))
    (sentence,) = identity.differences(linear, replace(linear, steps=5))
    assert "steps was 25000, is 5" in sentence and "falls to 0" in sentence
    assert identity.digest(linear) != identity.digest(replace(linear, steps=5))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": FORMAT + 1}, f"its format is {FORMAT + 1}, .* use a newer version"),
        ({"format": "two"}, "its format is two"),
        (
            {"config": state_of("format-2-sngan")["config"] | {"preset": "renamed"}},
            "renamed.* use the version that wrote it",
        ),
        ({"config": {"preset": "sngan"}}, "use the version that wrote it"),
        ({"format": 1, "config": {"preset": "renamed"}}, "renamed.* use the version that wrote it"),
        (
            {"config": state_of("format-2-sngan")["config"] | {"new_option": 3}},
            "new_option.* use the version that wrote it",
        ),
        ({"config": state_of("format-2-sngan")["config"] | {"loss": "wasserstein"}}, "use the version that wrote it"),
    ],
    ids=["later", "no format", "renamed preset", "no options", "renamed preset of format 1", "no option", "no value"],
)
def test_what_another_version_wrote_is_no_damage(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    """Nor is an older checkpoint taken in its place, which would throw away what was trained since."""
    folder = rewritten("format-2-sngan", tmp_path, **changes)
    shutil.copytree(KEPT / "format-2-sngan" / "step-00000003", folder / "step-00000002")
    with pytest.raises(FormatError, match=words) as error:
        checkpoint.load_latest(folder)
    assert str(folder / "step-00000003") in str(error.value)
    assert "damaged" not in str(error.value)
