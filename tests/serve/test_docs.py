"""The pages of HTTP and operating leave nothing out that a server has, and say nothing of what it has not."""

import re
import subprocess
import sys

from drawwell.formats.npy import FOOTER_MAGIC
from drawwell.http import protocol as wire
from drawwell_serve import metrics
from drawwell_serve.bentoml_compat.connection import MAX_HEAD_BYTES
from drawwell_serve.http.app import create_app
from drawwell_serve.http.body import MAX_BODY_BYTES
from drawwell_serve.http.formats import FORMATS, MAX_PICTURES
from drawwell_serve.http.generate_request import MAX_INDICES, MAX_LATENTS, GenerateRequest
from drawwell_serve.processes import shared_metrics
from tests.conftest import ROOT, Server

HTTP, OPERATING, DRAW = (
    (ROOT / "docs" / name).read_text() for name in ("reference/http.md", "guides/operate.md", "guides/draw.md")
)
SOURCES = "".join(file.read_text() for file in (ROOT / "serve" / "drawwell_serve").rglob("*.py"))
WIRE = [value for name, value in vars(wire).items() if name.isupper() and str(value).startswith("X-Drawwell-")]


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under this heading line."""
    lines = text[text.index(heading) :].splitlines()[2:]
    end = next((place for place, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:end]]


def named(cells: list[list[str]], column: int = 0) -> list[str]:
    return [name for row in cells for name in re.findall("`(.*?)`", row[column])]


def test_the_table_of_metrics_names_the_servers_metrics() -> None:
    names = [f"{one._name}_total" if one._type == "counter" else one._name for one in metrics._series().values()]
    assert set(named(rows(OPERATING, "| series |"))) == {*names, *shared_metrics.USAGE}


def test_the_table_of_routes_names_the_servers_routes() -> None:
    listed = {name.split()[-1] for name in named(rows(HTTP, "| route |"))}
    assert listed == {route.path for route in create_app().routes[:-1]}  # type: ignore[attr-defined]


def test_fields_forms_and_headers() -> None:
    assert named(rows(HTTP, "| field |")) == list(GenerateRequest.__struct_fields__)
    assert named(rows(HTTP, "| `Accept` |"))[:1] == ["application/json"]
    assert [row[0].strip("`") for row in rows(HTTP, "| `Accept` |")] == list(FORMATS)
    assert sorted(named(rows(HTTP, "| header of the reply |"))) == sorted(WIRE)


def test_codes_of_errors_and_their_status() -> None:
    documented = {
        (status, code) for row in rows(HTTP, "| status |") for status in row[0].split(", ") for code in named([row], 1)
    }
    raised = set(re.findall(r'(?:ApiError|_refuse|reply)\(\s*(\d{3}),\s*"(\w+)"', SOURCES))
    assert raised | {("404", "not_found"), ("405", "method_not_allowed")} <= documented
    assert {code for _, code in documented} == {code for _, code in raised} | {"not_found", "method_not_allowed"}


def test_the_limits_in_the_docs_are_the_servers() -> None:
    for limit in (MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_INDICES, MAX_LATENTS, MAX_PICTURES):
        assert f"{limit:,}" in HTTP
    assert repr(FOOTER_MAGIC)[2:-1] in HTTP


def test_the_python_in_it_works(server: Server) -> None:
    (block,) = (one for one in re.findall(r"```python\n(.*?)```", DRAW, re.DOTALL) if "import webdataset" in one)
    block = block.replace("http://127.0.0.1:3000", server.url)
    block += 'assert (key, image.dtype, image.shape) == ("7-0", "uint8", (28, 28, 3)), (key, image.shape)\n'
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
