"""The servers that ``serving`` measures: ours with each of its files, and two others with the plain export."""

from pathlib import Path

import onnx

from benchmarks.servers import Contender
from drawwell.engine.onnx_session import Provider
from drawwell.files.card import Target
from drawwell_export import graph
from drawwell_export.main import export
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.step import state

DEPENDENCIES = ("bentoml", "fastapi", "litserve", "uvicorn", "uvloop", "httptools")
"""Packages whose versions are written into the results."""

EMPTY = Contender(("-m", "bentoml", "serve", "benchmarks.peers.empty_bentoml:Empty", "--port", "PORT"))

_TARGETS: dict[Provider, tuple[Target, ...]] = {"cpu": ("cpu", "cpu-int8"), "cuda": ("cuda",)}
_UVICORN = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
_FASTAPI = ("-m", "uvicorn", "benchmarks.peers.fastapi_peer:app", "--port", "PORT", *_UVICORN)
_LITSERVE = ("-m", "benchmarks.peers.litserve_peer", "PORT")


def contenders(trained: Checkpoint, folder: Path, provider: Provider) -> dict[str, Contender]:
    """Write ``plain.onnx`` and our files into ``folder``, and return the servers by name."""
    folder.mkdir()
    plain = folder / "plain.onnx"
    generator = state.load_ema(trained.config, trained.tensors)
    onnx.save(graph.trace(generator, graph.inputs_of(generator, trained.config.latent_dim), ["images"]), plain)
    made = {}
    for target in _TARGETS[provider]:
        export(trained, file := folder / f"{target}.onnx", target).close()
        made[f"drawwell, `{target}`"] = ours(str(file), provider)
    variables = {"PEER_MODEL": str(plain), "PEER_PROVIDER": provider}
    return made | {"FastAPI": Contender(_FASTAPI, variables), "LitServe": Contender(_LITSERVE, variables)}


def ours(generator: str, provider: Provider) -> Contender:
    """Return our server with default settings, for a generator file or name."""
    variables = {"DRAWWELL_GENERATOR": generator, "DRAWWELL_PROVIDER": provider}
    return Contender(("-m", "bentoml", "serve", "--port", "PORT"), variables)
