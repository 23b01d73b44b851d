"""Pictures of what happened in a run, and the same numbers for TensorBoard."""

import io
import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from drawwell.errors import DrawwellError
from drawwell_train.config import TrainConfig
from drawwell_train.data.images import ImageData
from drawwell_train.loop import train
from drawwell_train.monitor import curves
from drawwell_train.monitor.curves import CurvesConfig
from drawwell_train.run.run import Run, RunError
from tests.conftest import drawwell

SIZE = (1400, 800)


def a_run(path: Path, lines: list[dict[str, Any]], sheets: int = 3) -> Run:
    run = Run(path)
    with run.locked():
        for line in lines:
            run.append_stats(line)
        for step in range(1, sheets + 1):
            run.save_sheet(np.full((4, 28, 28, 1), 10 * step % 256, np.uint8), step)
    return run


def lines(critic: bool = False, **more: Any) -> list[dict[str, Any]]:
    """Ten lines as training writes them."""
    line: dict[str, Any] = {"images_per_second": 1000.0, "loss_d": 1.0, "loss_g": 0.7, "d_real": 0.6, "d_fake": 0.4}
    line |= {"gradient_d": 1.0, "gradient_g": 0.1, "value": -1.2, "diversity": 0.5, "conditions": []}
    line |= {} if critic else {"accuracy_d": 0.7, "jsd": 0.1, "swing": 0.05}
    return [{"step": step, "images": 64 * step} | line | more for step in range(50, 501, 50)]


def drawn(run: Run) -> np.ndarray[Any, Any]:
    curves.main(CurvesConfig(run.path))
    with Image.open(run.path / "curves.png") as image:
        assert image.size == SIZE
        return np.asarray(image.convert("RGB"))


def test_curves_and_sheets_are_drawn_on_demand(tiny_run: Path) -> None:
    for name in ("curves.png", "samples.webp"):
        (tiny_run / name).unlink(missing_ok=True)
    said = drawwell("curves", str(tiny_run)).stderr
    assert said.split() == [str(tiny_run / "curves.png"), str(tiny_run / "samples.webp")]
    with Image.open(tiny_run / "curves.png") as picture, Image.open(tiny_run / "samples.webp") as film:
        assert (picture.size, film.format) == (SIZE, "WEBP")


def test_where_a_condition_held_is_shaded(tmp_path: Path) -> None:
    plain = drawn(a_run(tmp_path / "plain", lines()))
    for name in ("discriminator too strong", "discriminator too weak", "oscillation", "mode collapse"):
        shaded = drawn(a_run(tmp_path / name, lines(conditions=[name])))
        assert (shaded != plain).any(2).mean() > 0.2, name


def test_kid_is_drawn_where_it_was_measured(tmp_path: Path) -> None:
    some = lines()
    some[4] |= {"kid": 0.2}
    some[9] |= {"kid": -0.001}

    def green(run: Run) -> bool:
        """In the panel of diversity, at the bottom right."""
        return bool((drawn(run)[400:, 934:] == (44, 160, 44)).all(2).any())

    assert green(a_run(tmp_path / "some", some))
    assert not green(a_run(tmp_path / "none", lines()))


@pytest.mark.parametrize(
    "run",
    [
        lines(critic=True),
        [
            {name: value for name, value in line.items() if name not in ("value", "jsd", "conditions")}
            for line in lines()
        ],
        lines()[:1],
        [*lines(), {"step": 510, "conditions": ["NaN"]}],
        [{"step": 1, "conditions": ["NaN"]}],
    ],
    ids=["a critic", "nothing held out", "one line", "NaN at the end", "NaN at once"],
)
def test_every_kind_of_run_can_be_drawn(tmp_path: Path, run: list[dict[str, Any]]) -> None:
    drawn(a_run(tmp_path / "$a$ 井戸", run))


def test_the_film_shows_the_sheets_in_their_order(tmp_path: Path) -> None:
    run = a_run(tmp_path, lines(), sheets=5)
    (tmp_path / "samples" / "step-00000002 copy.png").write_bytes(b"not ours")
    curves.draw(run)
    with Image.open(tmp_path / "samples.webp") as film:
        assert film.n_frames == 5  # type: ignore[attr-defined]
        for frame in range(5):
            film.seek(frame)
            assert film.convert("L").getpixel((15, 15)) == pytest.approx(10 * (frame + 1), abs=2)


def test_a_long_film_is_thinned_out_between_its_ends(tmp_path: Path) -> None:
    run = a_run(tmp_path, lines(), sheets=241)
    curves.draw(run)
    with Image.open(tmp_path / "samples.webp") as film:
        assert film.n_frames == 120  # type: ignore[attr-defined]
        film.seek(119)
        assert film.convert("L").getpixel((15, 15)) == pytest.approx(2410 % 256, abs=2)


def test_sheets_of_other_sizes_are_a_sentence(tmp_path: Path) -> None:
    run = a_run(tmp_path, lines(), sheets=2)
    Image.new("RGB", (9, 99)).save(run.sheets()[1])
    with pytest.raises(DrawwellError, match=r"step-\d+\.png: is of another size than .*; move it away"):
        curves.draw(run)


def test_what_cannot_be_drawn_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="it is no run folder"):
        curves.main(CurvesConfig(tmp_path))
    (a_run(tmp_path, lines()).path / "samples" / "step-00000002.png").write_bytes(b"damaged")
    with pytest.raises(DrawwellError, match=r"step-00000002\.png: is no picture"):
        curves.main(CurvesConfig(tmp_path))
    (tmp_path / "stats.jsonl").write_text("other\n")
    with pytest.raises(RunError, match="a line that training did not write"):
        curves.main(CurvesConfig(tmp_path))


def trained(path: Path, steps: int) -> list[dict[str, Any]]:
    """The lines of a run with ``--tensorboard``."""
    options: dict[str, Any] = {"size": 28, "channels": 1, "preset": "mlp", "width": 8, "batch_size": 8, "device": "cpu"}
    config = TrainConfig("x", out=path, steps=steps, log_every=2, precision="float32", tensorboard=True, **options)
    noise = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1)).astype(np.uint8)
    with Run(path).locked():
        train(config, ImageData(noise), Run(path), lambda _: None, lambda _: None)
    return Run(path).stats()


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag to (step, value), out of event files: length, its checksum, the event, its checksum."""
    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.iterdir()):
        stream = io.BytesIO(file.read_bytes())
        while head := stream.read(12):
            event = Event.FromString(stream.read(struct.unpack("<Q", head[:8])[0]))
            stream.read(4)
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_tensorboard_gets_every_number_of_every_line(tmp_path: Path) -> None:
    trained(tmp_path, 4)
    stats = trained(tmp_path, 8)  # continued
    shown = scalars(tmp_path / "tensorboard")
    for name in set(stats[0]) - {"step", "images", "conditions"}:
        (tag,) = (tag for tag in shown if tag.endswith(f"/{name}"))
        points = sorted(shown[tag])
        assert [step for step, _ in points] == [2, 4, 6, 8]
        assert [value for _, value in points] == pytest.approx([line[name] for line in stats])


def test_tensorboard_without_its_extra_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(DrawwellError, match=r"pip install .*\[tensorboard\]"):
        trained(tmp_path, 2)
    assert not (tmp_path / "stats.jsonl").exists()
    assert json.loads((tmp_path / "config.json").read_text())["tensorboard"] is True
