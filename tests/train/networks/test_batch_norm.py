"""Batch norm over two processes is that of one process with all rows, gradients too."""

import multiprocessing
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from drawwell_train.distributed import process_group, shard
from drawwell_train.networks.batch_norm import synchronise_batch_norms
from tests.conftest import free_port

PROCESSES, CHANNELS = 2, 5
KINDS = {"rows": 1e-5, "images": 1e-5, "far from 0": 2e-3}
"""How far each may be from float64. Around 1,000 float32 has steps of 6e-5, half a thousandth of the deviation; its squares,
of 0.06, are a hundred times the variance."""


def batch(kind: str) -> Tensor:
    """float32 ``[8, 5]`` or ``[8, 5, 6, 6]``; the shares of two processes have means of their own."""
    chance = torch.Generator().manual_seed(0)
    shape = (8, CHANNELS) if kind == "rows" else (8, CHANNELS, 6, 6)
    x = torch.randn(shape, generator=chance)
    x[: len(x) // 2] += 0.7
    return 1e3 + 1e-1 * x if kind == "far from 0" else x


def norm_of(x: Tensor) -> nn.Sequential:
    chance = torch.Generator().manual_seed(1)
    layer = (nn.BatchNorm1d if x.dim() == 2 else nn.BatchNorm2d)(CHANNELS)
    for parameter in layer.parameters():
        parameter.data.uniform_(0.5, 2.0, generator=chance)
    return nn.Sequential(layer)


def learn(network: nn.Module, x: Tensor, target: Tensor) -> dict[str, Tensor]:
    """One pass each way: the output, all gradients, what it keeps, and what it gives in evaluation."""
    x = x.clone().requires_grad_(True)
    y = network(x)
    (y - target).square().mean().backward()
    assert x.grad is not None
    found = {"y": y.detach(), "gradient": x.grad, **dict(network.named_buffers())}
    found |= {
        f"gradient of {name}": weight.grad for name, weight in network.named_parameters() if weight.grad is not None
    }
    return found | {"evaluated": network.eval()(x).detach()}


def targets(x: Tensor) -> Tensor:
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(2))


def _member(rank: int, port: int, out: Path) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "WORLD_SIZE": str(PROCESSES),
    }
    with process_group("cpu"):
        for kind in KINDS:
            network = norm_of(x := batch(kind))
            synchronise_batch_norms(network)
            torch.save(learn(network, shard(x), shard(targets(x))), out / f"{kind}, {rank}.pt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each of two processes found of each kind."""
    context, port, out = multiprocessing.get_context("spawn"), free_port(), tmp_path_factory.mktemp("norms")
    members = [context.Process(target=_member, args=(rank, port, out)) for rank in range(PROCESSES)]
    for member in members:
        member.start()
    for member in members:
        member.join(120)
        assert member.exitcode == 0
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_that_of_one_process(folder: Path, kind: str) -> None:
    """Beside one process in float64."""
    x = batch(kind)
    exact = learn(norm_of(x).double(), x.double(), targets(x).double())
    shares = [torch.load(folder / f"{kind}, {rank}.pt") for rank in range(PROCESSES)]
    for name, expected in exact.items():
        found = torch.stack([share[name].double() for share in shares])
        # rows are of one process each; weights have the mean of both gradients, as the loss is the mean of both
        together = found.flatten(0, 1) if expected.shape == x.shape else found.mean(0)
        together = together / PROCESSES if name == "gradient" else together  # of the sum of both losses
        error = torch.linalg.vector_norm(together - expected)
        assert error <= KINDS[kind] * torch.linalg.vector_norm(expected.double()), name


@pytest.mark.parametrize("kind", KINDS)
def test_all_processes_keep_the_same_numbers(folder: Path, kind: str) -> None:
    one, other = (torch.load(folder / f"{kind}, {rank}.pt") for rank in range(PROCESSES))
    for name, _ in norm_of(batch(kind)).named_buffers():
        assert torch.equal(one[name], other[name]), name
