"""Who imports whom, seen in fresh processes on what is really imported."""

import json
import subprocess
import sys

import pytest

import drawwell

STAGES = {"drawwell_train", "drawwell_export", "drawwell_serve"}
HEAVY = {"torch", "onnx", "onnxruntime", "bentoml", "PIL", "tyro", "tenacity", "mlxtend", "starlette", "torchmetrics"}


def imported_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_import_drawwell_is_light() -> None:
    assert not imported_by("import drawwell; drawwell.open; drawwell.datasets") & (HEAVY | STAGES)
    bare = imported_by(
        "import sys; before = set(sys.modules); import drawwell; sys.modules = {k: 0 for k in set(sys.modules) - before}"
    )
    assert bare - set(sys.stdlib_module_names) <= {
        "drawwell",
        "numpy",
        "httpx",
        "httpcore",
        "anyio",
        "certifi",
        "idna",
        "h11",
        "sniffio",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import drawwell.http.client, drawwell.http.async_client, drawwell.datasets, drawwell.cli", set()),
        ("import drawwell.engine.engine, drawwell.engine.judge", set()),
        ("import drawwell.cli.commands", {"tyro"}),
        ("import drawwell_train.main", {"torch", "tyro", "PIL", "drawwell_train"}),
        (
            "import drawwell_export.main",
            {"torch", "onnx", "onnxruntime", "tyro", "PIL", "drawwell_train", "drawwell_export"},
        ),
        ("import drawwell_train.watch.main", {"starlette", "tyro", "drawwell_train"}),
        ("import drawwell_train.play.main", {"starlette", "tyro", "drawwell_train"}),
        ("import drawwell_serve.main", {"tyro", "drawwell_serve"}),
        ("import drawwell_serve.service", {"bentoml", "starlette", "drawwell_serve"}),
    ],
)
def test_a_module_brings_no_more_than_the_map_allows(statement: str, allowed: set[str]) -> None:
    assert imported_by(statement) & (HEAVY | STAGES) <= allowed


def test_serving_never_brings_torch() -> None:
    draw = (
        "import drawwell_serve.service; from drawwell_serve.settings import Settings; "
        "from drawwell_serve.drawing.image_service import ImageService"
    )
    assert "torch" not in imported_by(f"{draw}; w = ImageService(Settings()); w.engine.generate(1, 2); w.close()")


def test_the_command_line_imports_a_stage_only_when_called() -> None:
    assert not imported_by("from drawwell.cli.main import run; run(['--help'])") & (HEAVY | STAGES)


def test_the_public_names_are_these() -> None:
    assert drawwell.__all__ == [
        "AsyncClient",
        "Batch",
        "Client",
        "DeviceMemoryError",
        "DrawwellError",
        "Engine",
        "GeneratorFileError",
        "ImageGenerator",
        "Images",
        "Indices",
        "Judge",
        "Judgement",
        "LabelBudgets",
        "LabelChoice",
        "ModelCard",
        "PictureError",
        "Provider",
        "ProviderError",
        "RequestError",
        "ResponseError",
        "Selection",
        "SelectionError",
        "ServerError",
        "StoppedError",
        "UnavailableError",
        "UnreachableError",
        "WriteError",
        "datasets",
        "open",
        "read_selection",
    ]
    for name in drawwell.__all__:
        assert getattr(drawwell, name) is not None
        assert name in dir(drawwell)
    with pytest.raises(AttributeError):
        drawwell.nothing  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError):
        drawwell.datasets.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_an_old_name_works_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"drawwell\.Generator is now drawwell\.ImageGenerator") as warned:
        assert drawwell.Generator is drawwell.ImageGenerator
    assert warned[0].filename == __file__
