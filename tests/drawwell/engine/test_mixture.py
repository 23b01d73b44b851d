"""A file of several generators: which of them draws an address, whatever it is drawn together with."""

import pickle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drawwell as library
from drawwell.addresses.latents import labels, latents, members
from drawwell.engine.backends import CpuBackend, CudaBackend
from drawwell.engine.engine import Engine
from drawwell.engine.onnx_session import open_cpu
from drawwell.errors import GeneratorFileError, RequestError
from drawwell.files.card import MIXTURE_FORMAT, PLAIN_FORMAT, card_from_json, card_to_json
from drawwell.files.generator_file import GeneratorFile, read_generator
from drawwell.opening import bundled, find_file
from drawwell_export.mixture import join
from tests import graphs
from tests.conftest import drawwell

COUNT = 5
INDICES = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 9), min_size=1, max_size=70)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every image is 10 times its member's place everywhere."""
    return graphs.write_mixture(tmp_path_factory.mktemp("mixture") / "mixture.onnx", COUNT)


@pytest.fixture(scope="module")
def engine(file: Path) -> Engine:
    return Engine(file, threads=2)


def drawn_by(images: np.ndarray) -> np.ndarray:
    assert (images == images[:, :1, :1, :1]).all()
    return images[:, 0, 0, 0] // 10


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**63 - 1), indices=INDICES)
def test_an_address_is_drawn_by_its_member_in_any_batch(engine: Engine, seed: int, indices: list[int]) -> None:
    by = drawn_by(engine.generate(seed, indices=indices).images)
    assert by.tolist() == members(seed, indices, COUNT, graphs.DIM).tolist()


@settings(deadline=None, max_examples=30)
@given(order=st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=40))
def test_any_members_in_any_order_are_put_back_into_it(engine: Engine, order: list[int]) -> None:
    feeds = {"z": np.zeros((len(order), graphs.DIM), np.float32), "member": np.array(order)}
    assert drawn_by(engine.draw(feeds)).tolist() == order


def test_labels_and_members_are_chosen_apart(tmp_path: Path) -> None:
    engine = Engine(graphs.write_mixture(tmp_path / "labelled.onnx", 3, "a", "b", "c"), threads=1)
    batch, member = engine.generate(7, 200), members(7, range(200), 3, graphs.DIM)
    assert batch.labels is not None
    assert batch.labels.tolist() == labels(7, range(200), 3, graphs.DIM).tolist()
    np.testing.assert_array_equal(batch.images[:, 0, 0, 0], 10 * member + batch.labels)
    np.testing.assert_array_equal(engine.generate(7, 200, labels=2).images[:, 0, 0, 0], 10 * member + 2)


def test_a_mixture_travels(engine: Engine) -> None:
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(engine)).generate(3, 50).images, engine.generate(3, 50).images
    )


def test_a_torch_dataset_draws_from_a_mixture(engine: Engine) -> None:
    items = library.datasets.TorchDataset(engine, seed=3, size=40).__getitems__(list(range(39, -1, -1)))
    wanted = members(3, range(40), COUNT, graphs.DIM)[::-1]
    assert [int(image[0, 0, 0]) // 10 for image, _ in items] == wanted.tolist()


def test_generate_and_info_take_a_mixture(file: Path, tmp_path: Path) -> None:
    for name in ("x.npy", "x.tar", "x.png"):
        drawwell("generate", str(file), "--seed", "3", "--count", "40", "--out", str(tmp_path / name))
    assert drawn_by(np.load(tmp_path / "x.npy")).tolist() == members(3, range(40), COUNT, graphs.DIM).tolist()
    assert "whole: 40 images of seed 3" in drawwell("verify", str(tmp_path / "x.tar")).stdout
    said = " ".join(drawwell("info", str(file)).stdout.split())
    assert (
        "Mixture 5 generators; each address belongs to one of them; 1 trained on 0 images in 0 steps; 1 trained on 10"
        in said
    )
    assert "Trained on nothing, 100 images in 10 steps" in said


@pytest.fixture(scope="module")
def read(file: Path) -> GeneratorFile:
    return read_generator(file)


def test_the_card_tells_of_every_member(read: GeneratorFile) -> None:
    card = read.card
    assert (card.generators, card.format_version) == (COUNT, MIXTURE_FORMAT)
    assert [one.steps for one in card.members] == list(range(COUNT))
    assert (card.training.images, card.training.steps, card.training.license) == (100, 10, "none")
    assert card_from_json(card_to_json(card)) == card


def test_a_plain_card_is_as_it_was_before_there_were_mixtures() -> None:
    written = msgspec.json.decode(card_to_json(graphs.card()))
    assert written["format_version"] == PLAIN_FORMAT
    assert "members" not in written


DIGESTS = {
    "emoji": "ed63b5c7f521e0fa3749b9b53e587bd1ff1b59bf41943e993ff25ed045ef5686",
    "fashion": "d9b06ba0ebb16e27bfe8d4253caece0a558ffdf522bffaabde25fef11c4309db",
    "fashion-int8": "23c094c741f77a21cb0743ff216159665ae74c824f889b2b747e88e7216f2c67",
    "fashion-mixture": "d531f4b89e073695386b84298788cb6b7e98d991764c5bbcbb28e00801e393a6",
}


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_file_keeps_its_digest(name: str) -> None:
    file = read_generator(find_file(name))
    assert file.digest == DIGESTS[name]
    assert file.card.generators == (3 if name == "fashion-mixture" else 1)
    assert card_to_json(file.card) in file.content


def test_a_graph_that_takes_no_member_is_no_mixture(tmp_path: Path) -> None:
    trainings = read_generator(graphs.write_mixture(tmp_path / "right.onnx", 2)).card.members
    wrong = graphs.write(tmp_path / "wrong.onnx", graphs.plain_model(), graphs.card(members=trainings))
    with pytest.raises(GeneratorFileError, match="do not fit its card"):
        Engine(wrong)


def test_a_mixture_of_one_is_the_plain_graph() -> None:
    model = graphs.plain_model()
    assert join([model]) is model


class Shapes:
    """A session on a device that notes the shape of every run, and of how many members its rows are."""

    def __init__(self, file: GeneratorFile) -> None:
        self._session = open_cpu(file, 1)
        self.runs: set[tuple[int, int]] = set()

    def io_binding(self) -> Any:
        return self._session.io_binding()

    def run_with_iobinding(self, binding: Any) -> None:
        self._session.run_with_iobinding(binding)
        images = binding.get_outputs()[0].numpy()
        self.runs.add((len(images), len(np.unique(images))))


def feeds(seed: int, count: int) -> dict[str, Any]:
    member = members(seed, range(count), COUNT, graphs.DIM)
    return {"z": latents(seed, range(count), graphs.DIM), "member": member}


def test_a_device_runs_one_member_in_one_shape(read: GeneratorFile) -> None:
    session = Shapes(read)
    backend = CudaBackend(session, read.card, batch=23, device="cpu")
    for count in (1, 2, 22, 23):
        wanted = CpuBackend(read, 1).run(feeds(3, count), False)
        np.testing.assert_array_equal(backend.run(feeds(3, count), False), wanted)
    assert session.runs == {(23 // COUNT, 1)}
    assert backend.piece_images == 23


def test_a_device_takes_a_batch_smaller_than_the_mixture(read: GeneratorFile) -> None:
    backend = CudaBackend(open_cpu(read, 1), read.card, batch=2, device="cpu")
    assert drawn_by(backend.run(feeds(3, 2), False)).tolist() == feeds(3, 2)["member"].tolist()


def test_a_mixture_is_not_recorded(file: Path) -> None:
    with pytest.raises(RequestError, match="cuda_graph cannot record a mixture"):
        Engine(file, cuda_graph=True)
