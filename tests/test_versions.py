"""What the project says of the versions of Python it runs on is one thing, wherever it says it."""

import re
import tomllib

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def minor_versions() -> list[int]:
    """Of the classifiers: 11 for Python 3.11."""
    found = (re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", one) for one in PROJECT["classifiers"])
    return [int(one[1]) for one in found if one]


def test_the_classifiers_begin_with_the_oldest_python_that_pip_installs_on_and_leave_none_out() -> None:
    versions = minor_versions()
    assert PROJECT["requires-python"] == f">=3.{versions[0]}"
    assert versions == list(range(versions[0], versions[-1] + 1))


def test_make_and_the_readme_ask_for_the_oldest_python() -> None:
    oldest = minor_versions()[0]
    makefile = (ROOT / "Makefile").read_text()
    assert f"drawwell needs Python 3.{oldest} or newer" in makefile and f"sys.version_info < (3, {oldest})" in makefile
    assert re.search(rf"Python 3\.{oldest}\b", (ROOT / "README.md").read_text())
