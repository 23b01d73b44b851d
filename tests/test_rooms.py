"""Who may import whom, by room: a room is a folder of a package, or a single module beside the folders.

Read from the source, so an import inside a function counts as one at the top. What a command really loads at run time
is measured in ``tests/drawwell/test_imports.py``.
"""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ROOT

SOURCES = {"drawwell": "", "drawwell_train": "train", "drawwell_export": "export", "drawwell_serve": "serve"}
THE_PACKAGE_ITSELF = "__init__"

FLOORS = {
    "drawwell": [
        {"errors", "text", "forking", "pieces"},
        {"addresses", "atomic_files", "install", "terminal"},
        {"files"},
        {"generator"},
        {"formats", "image_request"},
        {"engine", "http"},
        {"opening"},
        {"datasets"},
        {THE_PACKAGE_ITSELF},
        {"cli"},
        {"__main__"},
    ],
    "drawwell_train": [
        {THE_PACKAGE_ITSELF, "presets", "distributed"},
        {"config"},
        {"options"},
        {"data", "networks"},
        {"step", "resolve"},
        {"run"},
        {"evaluation"},
        {"monitor", "selecting", "certify"},
        {"loop", "watch"},
        {"main", "play"},
    ],
    "drawwell_serve": [
        {THE_PACKAGE_ITSELF, "settings", "metrics", "reader_watch"},
        {"errors", "judge_file"},
        {"bentoml_compat"},
        {"log"},
        {"processes"},
        {"drawing"},
        {"http"},
        {"service", "main"},
    ],
}
"""Of each package from the ground up. A room imports from floors below its own only."""

OTHER_PACKAGES: dict[str, dict[str, set[str]]] = {
    "drawwell": {},
    "drawwell_train": {
        "drawwell": {"addresses", "atomic_files", "engine", "errors", "files", "forking"}
        | {"formats", "generator", "install", "opening", "pieces", "terminal", "text", THE_PACKAGE_ITSELF}
    },
    "drawwell_export": {
        "drawwell": {"addresses", "atomic_files", "engine", "errors", "files"}
        | {"generator", "image_request", "pieces", "terminal", "text", THE_PACKAGE_ITSELF},
        "drawwell_train": {"config", "data", "evaluation", "monitor", "networks", "presets", "run", "step"},
    },
    "drawwell_serve": {
        "drawwell": {"addresses", "atomic_files", "engine", "errors", "files", "forking"}
        | {"formats", "generator", "http", "image_request", "install", "opening", "pieces", "text", THE_PACKAGE_ITSELF}
    },
}
"""The rooms of other packages that a package may import. The stages meet in files and over HTTP, not in calls."""


class Import(NamedTuple):
    """An import: the module that says it, the module that it names, and the name that it takes from there."""

    line: int
    importer: str
    imported: str
    name: str
    for_types_only: bool

    def __str__(self) -> str:
        return (
            f"{modules()[self.importer].relative_to(ROOT)}, line {self.line}: {self.importer} imports {self.imported}"
        )


@cache
def modules() -> dict[str, Path]:
    """Every module of the four packages, and its file."""
    found = {}
    for package, folder in SOURCES.items():
        for file in sorted((ROOT / folder / package).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@cache
def imports() -> list[Import]:
    """What the modules of the four packages import of each other, of the tests, and of the benchmarks.

    Everyone may read ``__version__``, which stands in ``drawwell/__init__.py`` for the build.
    """
    ours = {*SOURCES, "tests", "benchmarks"}
    found = (one for module in modules() for one in imports_of(module))
    return [one for one in found if package_of(one.imported) in ours and one.name != "__version__"]


def imports_of(module: str) -> Iterator[Import]:
    tree = ast.parse(modules()[module].read_text())
    for_types = {inner for node in ast.walk(tree) if is_for_types(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, module, alias.name, "", node in for_types)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level and node.module, f"{module}, line {node.lineno}: import by the full name"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                imported = inner if inner in modules() else node.module
                yield Import(node.lineno, module, imported, alias.name, node in for_types)


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def package_of(module: str) -> str:
    return module.partition(".")[0]


def room_of(module: str) -> str:
    inner = module.split(".")[1:]
    return inner[0] if inner else THE_PACKAGE_ITSELF


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_of_a_package_stands_on_one_floor(package: str) -> None:
    rooms = {room_of(module) for module in modules() if package_of(module) == package}
    declared = [room for floor in FLOORS[package] for room in floor]
    assert len(declared) == len(set(declared))
    assert rooms <= set(declared), f"give {sorted(rooms - set(declared))} a floor in FLOORS"
    assert set(declared) <= rooms, f"{sorted(set(declared) - rooms)} of FLOORS are gone"


@pytest.mark.parametrize("package", FLOORS)
def test_a_room_imports_from_the_floors_below_it(package: str) -> None:
    floor_of = {room: number for number, floor in enumerate(FLOORS[package]) for room in floor}
    for one in imports():
        if package_of(one.importer) == package == package_of(one.imported):
            importer, imported = room_of(one.importer), room_of(one.imported)
            assert importer == imported or floor_of[imported] < floor_of[importer], (
                f"{one}: {importer!r} stands on floor {floor_of[importer]} of {package} and {imported!r} on floor "
                f"{floor_of[imported]}; a room imports from lower floors only"
            )


@pytest.mark.parametrize("package", OTHER_PACKAGES)
def test_a_package_imports_only_the_rooms_of_others_that_it_may(package: str) -> None:
    for one in imports():
        other = package_of(one.imported)
        if package_of(one.importer) == package != other:
            allowed = OTHER_PACKAGES[package].get(other, set())
            assert room_of(one.imported) in allowed, (
                f"{one}: of {other}, {package} may import "
                f"{', '.join(sorted(allowed)) or 'nothing'} (OTHER_PACKAGES in {Path(__file__).name})"
            )


def test_no_import_goes_round_in_a_circle() -> None:
    """Between modules, in one room, too; an import that only a type checker sees closes no circle."""
    imported_by: dict[str, set[str]] = {module: set() for module in modules()}
    for one in imports():
        if not one.for_types_only and one.imported != one.importer:
            imported_by[one.importer].add(one.imported)
    try:
        TopologicalSorter(imported_by).prepare()
    except CycleError as circle:
        pytest.fail(" is imported by ".join(circle.args[1]))


def test_no_module_imports_what_another_keeps_private() -> None:
    for one in imports():
        private = one.name.startswith("_") and not one.name.startswith("__")
        assert not private, f"{one}: its name {one.name} is private"
