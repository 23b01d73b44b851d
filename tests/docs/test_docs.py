"""Everything that a page of the documentation names exists: options, names, routes, variables, metrics, targets, extras, files, anchors."""

import ast
import functools
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import drawwell
from docs.scripts import architecture, cli_page
from drawwell_serve import metrics
from drawwell_serve.http.app import create_app
from drawwell_serve.processes import shared_metrics
from drawwell_serve.settings import Settings
from tests.conftest import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
REPORTS = ROOT / "docs" / "reports"
EXAMPLES = sorted((ROOT / "examples").iterdir())
COMMANDS = re.findall(r"^  (\w+)  ", cli_page.help_of(), re.MULTILINE)
FOREIGN_OPTIONS = {"--reload", "--short", "--version"}
"""Of `bentoml serve`, of the benchmarks, and of `drawwell` itself."""
TEST_VARIABLES = {"DRAWWELL_KEY", "DRAWWELL_RETRY_FOR", "DRAWWELL_TORTURE", "DRAWWELL_INSTALLED"}
"""The key and the seconds of the client, which are no fields of the settings, and what the Makefile tells the tests."""

every_page = pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        if language in languages:
            yield block


def inline(page: Path) -> list[str]:
    """The pieces of code within sentences."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", text)


def code(page: Path) -> list[str]:
    """The pieces of code within sentences, and the lines of shell blocks."""
    lines = (line for block in blocks(page, "sh") for line in block.replace("\\\n", "").splitlines())
    return [*inline(page), *(shlex.join(words) for line in lines if (words := shlex.split(line, comments=True)))]


@functools.cache
def options(command: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z0-9][a-z0-9-]*", cli_page.help_of(command)))


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@every_page
def test_links_lead_to_files_and_anchors(page: Path) -> None:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text)
    for link in (one or other for one, other in links):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@every_page
def test_files_of_the_repository(page: Path) -> None:
    top = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")} - {"build", "runs"}
    for text in inline(page):
        if re.fullmatch(r"[\w./*-]+", text) and text.split("/")[0] in top and "/" in text.rstrip("/"):
            assert list(ROOT.glob(text.rstrip("/"))), text


@every_page
def test_commands_and_their_options(page: Path) -> None:
    for text in code(page):
        words = text.split()
        if "drawwell" in words[:-1]:
            command = words[words.index("drawwell") + 1]
            if command in {"COMMAND", "--version", "--help", "..."}:
                continue
            assert command in COMMANDS, text
            used = {word.partition("=")[0] for word in words[words.index("drawwell") :] if re.match("--[a-z]", word)}
            assert used <= options(command), text
        elif words[0].startswith("--"):
            assert words[0] in set().union(*map(options, COMMANDS)) | FOREIGN_OPTIONS, text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a page may say what an old name has become
@every_page
def test_names_of_the_library(page: Path) -> None:
    python = "\n".join([*inline(page), *blocks(page, "python")])
    for name in re.findall(r"(?<![\w./'-])drawwell\.([A-Za-z]\w*(?:\.[A-Za-z]\w*)*)", python):
        if name in {"seal", "onnx"}:
            continue  # a metadata entry and an ending, not names in Python
        value, parts = importlib.import_module("drawwell"), name.split(".")
        for place, part in enumerate(parts):
            if not hasattr(value, part):
                importlib.import_module(".".join(["drawwell", *parts[: place + 1]]))
            value = getattr(value, part)


@every_page
def test_python_blocks_are_python(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=[page.name for page in [*PAGES, *EXAMPLES]])
def test_variables_are_settings(page: Path) -> None:
    known = {*Settings.variables_by_field().values(), *TEST_VARIABLES}
    assert set(re.findall(r"DRAWWELL_[A-Z]+(?:_[A-Z]+)*", page.read_text())) <= known


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=[page.name for page in [*PAGES, *EXAMPLES]])
def test_metrics_are_exported(page: Path) -> None:
    names = {f"{one._name}_total" if one._type == "counter" else one._name for one in metrics._series().values()}
    packages = {"drawwell_serve", "drawwell_train", "drawwell_export"}
    named = set(re.findall(r"\b(?:drawwell|bentoml_service)_[a-z_]+\b", page.read_text())) - packages
    assert named <= names | set(shared_metrics.USAGE)


@every_page
def test_routes_exist(page: Path) -> None:
    routes = {route.path for route in create_app().routes[:-1]}  # type: ignore[attr-defined]
    for text in inline(page):
        if matched := re.fullmatch(r"(?:(?:GET|POST|HEAD) )?(/[a-z][\w.{}/-]*)", text):
            path = matched[1]
            assert path in routes or path.startswith(("/dev/", "/proc/", "/sys/", "/var/")), text


@every_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for text in code(page):
        if text.startswith("make "):
            assert text.split()[1] in targets, text


@every_page
def test_extras_exist(page: Path) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extras in re.findall(r"(?:drawwell|'\.)\[([a-z,]+)\]", page.read_text()):
        assert set(extras.split(",")) <= set(known), extras


def test_the_page_of_commands_is_what_they_say() -> None:
    assert cli_page.PAGE.read_text() == cli_page.page(), "python -m docs.scripts.cli_page"


def test_the_diagram_is_drawn_from_its_source() -> None:
    assert architecture.PICTURE.read_text().endswith(architecture.mark()), "python -m docs.scripts.architecture"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        if (page := waiting.pop()) not in reached:
            reached.add(page)
            links = re.findall(r"\]\(([^)#\s:]+\.md)(?:#[^)]*)?\)", page.read_text())
            waiting += [(page.parent / link).resolve() for link in links]
    assert set(PAGES) <= reached


def test_the_python_of_the_guide_to_drawing_runs() -> None:
    page = ROOT / "docs" / "guides" / "draw.md"
    local = [block for block in blocks(page, "python") if '"http://' not in block.replace('or "http://', "")]
    # it draws 50,000 images into the cache of the user; tests/drawwell/test_extras.py draws fewer
    local = [block for block in local if "hugging_face(" not in block]
    code = "\n".join(local).replace("50_000", "3_000")  # its ten epochs are 500,000 images
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Bag\n"


def test_the_python_page_has_every_public_name() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text()
    described = set(re.findall(r"drawwell\.(\w+)", page))
    assert described >= set(drawwell.__all__)
