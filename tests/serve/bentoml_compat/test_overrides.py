"""The private parts of BentoML, uvicorn and prometheus_client that we override are still those that we were written against."""

import ast
import hashlib
import inspect
import warnings
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any

import pytest

from drawwell_serve.bentoml_compat import OVERRIDES, VERSIONS, Override
from tests.conftest import ROOT

SERVE = ROOT / "serve" / "drawwell_serve"
FOLDER = SERVE / "bentoml_compat"
PRIVATE = (
    "_bentoml_impl",
    "_bentoml_sdk",
    "bentoml._internal",
    "bentoml.serving",
    "bentoml_cli",
    "uvicorn",
    "prometheus_client.",
)


def target_of(override: Override) -> Any:
    module_name, _, name = override.target.partition(":")
    with warnings.catch_warnings(action="ignore"):  # BentoML's own, of pydantic and pathspec
        target: Any = import_module(module_name)
    for part in name.split(".") if name else ():
        target = vars(target)[part] if isinstance(target, type) else getattr(target, part)
    return target


def source_of(target: Any) -> str:
    return inspect.getsource(target if isinstance(target, ModuleType) else inspect.unwrap(target))


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda override: override.target)
def test_the_source_is_the_one_that_our_code_was_written_against(override: Override) -> None:
    sha256 = hashlib.sha256(source_of(target_of(override)).encode()).hexdigest()
    package = override.target.split(":")[0].split(".")[0].removeprefix("_").split("_impl")[0].split("_sdk")[0]
    package = "bentoml" if package == "bentoml_cli" else package
    assert sha256.startswith(override.sha256) and len(override.sha256) == 16, (
        f"{override.target} of {package} {version(package)} has changed since {VERSIONS[package]} (SHA-256 {sha256[:16]}). "
        f"drawwell_serve/bentoml_compat/{override.module}.py depends on it: {override.reason}. "
        "Compare the two sources, adapt our module, then put the new hash into OVERRIDES"
    )


def test_every_module_of_the_folder_says_what_it_depends_on() -> None:
    modules = {file.stem for file in FOLDER.glob("*.py")} - {"__init__"}
    assert modules == {override.module for override in OVERRIDES}


def test_no_other_module_touches_private_parts() -> None:
    for file in SERVE.rglob("*.py"):
        if file.parent == FOLDER:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            private = [name for name in names if name.startswith(PRIVATE) and name != "prometheus_client.core"]
            assert not private, f"{file.relative_to(ROOT)} imports {private}: such imports belong into bentoml_compat/"
