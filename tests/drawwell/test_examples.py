"""The examples in docstrings run, and the Python code of the pages passes a strict type checker as a user's code."""

import doctest
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import drawwell
from drawwell import errors
from tests.conftest import ROOT
from tests.scripted import Handler, body_of, headers_of, serving

URL = "http://127.0.0.1:3000"
CALLS = [getattr(drawwell, name) for name in drawwell.__all__ if inspect.isroutine(getattr(drawwell, name))]
CLASSES = [getattr(drawwell, name) for name in drawwell.__all__ if inspect.isclass(getattr(drawwell, name))]
DATASETS = [getattr(drawwell.datasets, name) for name in drawwell.datasets.__all__]
DOCUMENTED = [drawwell, errors, *CALLS, *CLASSES, drawwell.datasets, *DATASETS, drawwell.ImageGenerator.generate]
WITH_EXAMPLE = {
    "AsyncClient",
    "Batch",
    "Client",
    "Engine",
    "ImageGenerator",
    "ModelCard",
    "TorchDataset",
    "TorchStream",
    "concat",
    "drawwell.datasets",
    "drawwell.errors",
    "open_generator",
    "generate",
    "mixed",
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of the bundled generator ``fashion``, as far as the examples use it."""
    with drawwell.open("fashion", threads=1) as engine, serving() as server:

        def model(handler: Handler) -> None:
            handler.reply(
                200, msgspec.json.encode({"digest": engine.digest, "card": engine.card, "max_count": 1_000_000})
            )

        def images(handler: Handler, asked: dict[str, Any]) -> None:
            body = body_of(engine.generate(asked["seed"], asked["count"], asked["start"]).images)
            handler.reply(200, body, headers_of(asked, engine.digest))

        server.model, server.script = model, [images]
        yield server.url


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda one: one.__name__)
def test_the_example_of_a_public_name_runs(documented: Any, url: str) -> None:
    text = inspect.getdoc(documented) or ""
    test = doctest.DocTestParser().get_doctest(
        text.replace(URL, url), {"drawwell": drawwell}, documented.__name__, None, None
    )
    assert bool(test.examples) or documented.__name__ not in WITH_EXAMPLE
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=said.append)
    assert result.failed == 0, "".join(said)


@pytest.mark.parametrize(
    "kind", [*CLASSES, drawwell.datasets.TorchDataset, drawwell.datasets.TorchStream], ids=lambda one: one.__name__
)
def test_what_a_public_class_offers_is_described(kind: type) -> None:
    """Each method that a user calls, where it says anything that its base does not."""
    assert inspect.getdoc(kind)
    for name, member in vars(kind).items():
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
            assert inspect.getdoc(member), f"{kind.__name__}.{name}"


def test_the_code_of_the_pages_passes_mypy_as_a_users_code(tmp_path: Path) -> None:
    for page in PAGES:
        blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        for number, block in enumerate(blocks):
            (tmp_path / f"{page.stem.replace('-', '_')}_{number}.py").write_text(block)
    files = sorted(map(str, tmp_path.glob("*.py")))
    assert files
    options = ["--strict", "--ignore-missing-imports", "--cache-dir", str(ROOT / ".mypy_cache" / "pages")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *files],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
