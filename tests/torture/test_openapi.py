"""What `/docs.json` says, put to the test by requests made from it, right ones and wrong ones."""

import re
from collections import Counter
from itertools import cycle, islice
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from drawwell_serve.http.formats import FORMATS
from drawwell_serve.http.generate_request import MAX_LATENTS
from tests.conftest import ROOT, Server, StartServer

from .conftest import Record, times

GENERATOR = "fashion"
MOST, CLASSES = 64, 10
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
OURS = re.compile(rb"Traceback \(most|site-packages|\.py\", line|" + re.escape(str(ROOT).encode()))
GROUPS = (
    {"seed", "start", "count", "truncation"},
    {"start", "count", "labels"},
    {"seed", "indices", "labels"},
    {"interpolate", "truncation", "labels"},
    {"seed", "start", "per_class", "spread"},
)


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server(GENERATOR, DRAWWELL_MAX_COUNT=str(MOST))


@pytest.fixture(scope="module")
def operations(server: Server) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{server.url}/docs.json")
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


def test_replies_are_as_the_document_says(server: Server, operations: list[Any], record: Record) -> None:
    """Requests made from `/docs.json` by schemathesis: statuses, headers and bodies are as it says, wrong requests are refused."""
    statuses: dict[str, Counter[int]] = {}
    varied = [operation for operation in operations if operation.body or operation.path_parameters]
    with requests.Session() as session:
        for operation in operations:
            examples = times(10_000, 150) // len(varied) if operation in varied else 1
            statuses[operation.label] = _statuses(server, session, operation, examples)
    assert statuses["POST /generate"][200] and statuses["POST /generate"][422]
    images = statuses["GET /images/{digest}/{seed}/{index}.png"]
    assert images[200] and images[404]
    assert "Traceback" not in server.log.read_text()
    record(
        count=sum(seen.total() for seen in statuses.values()),
        schemathesis=schemathesis.__version__,
        statuses={label: dict(seen) for label, seen in statuses.items()},
    )


def _statuses(server: Server, session: requests.Session, operation: Any, examples: int) -> Counter[int]:
    seen, digest = Counter[int](), session.get(f"{server.url}/model").json()["digest"]
    known = {"digest": digest} if operation.path_parameters else None
    cases = [operation.as_strategy(mode) for mode in schemathesis.GenerationMode]
    cases += [operation.as_strategy(path_parameters=known)] * 2

    @settings(deadline=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(case=st.one_of(cases), accept=st.sampled_from([*FORMATS, "*/*"]), names=st.sampled_from((None, *GROUPS)))
    def ask(case: Any, accept: str, names: set[str] | None) -> None:
        if names is not None:
            _make_answerable(case, names)
        headers = {"Accept": accept} if operation.body else {}
        reply = case.call_and_validate(session=session, headers=headers, checks=CHECKS, timeout=60)
        assert not OURS.search(reply.content)
        seen[reply.status_code] += 1

    ask()
    return seen


def _make_answerable(case: Any, names: set[str]) -> None:
    """Fields that may come together, few images, and labels of this generator: which and how many, OpenAPI does not say."""
    if isinstance(case.body, dict):
        body = {name: value for name, value in case.body.items() if name in names}
        body |= {"count": min(body["count"], MOST)} if isinstance(body.get("count"), int) else {}
        body |= {"labels": _labels(body)} if names & body.keys() & {"labels", "interpolate"} else {}
        case.body = body | ({"per_class": _budgets(body["per_class"])} if "per_class" in body else {})
    first, last = (case.path_parameters.get(name) for name in ("first", "last"))
    if isinstance(first, int) and isinstance(last, int):
        case.path_parameters["last"] = first + last % MOST


def _budgets(per_class: Any) -> Any:
    """Some images of classes of the generator, by index; what is no budget stays as it is."""
    if not isinstance(per_class, dict) or any(type(count) is not int or count < 1 for count in per_class.values()):
        return per_class
    return {str(place): count % 5 + 1 for place, count in zip(range(CLASSES), per_class.values(), strict=False)}


def _labels(body: dict[str, Any]) -> Any:
    """Integers become classes of the generator, one for all images or one for each; what else was made stays as it is."""
    labels = body.get("labels", 0)
    if type(labels) is int:
        return labels % CLASSES
    if not isinstance(labels, list) or not labels or any(type(label) is not int for label in labels):
        return labels
    return [label % CLASSES for label in islice(cycle(labels), _count(body))]


def _count(body: dict[str, Any]) -> int:
    """How many images a body asks for, 1 where it makes no sense."""
    if isinstance(way := body.get("interpolate"), dict):
        count = way.get("steps")
    else:
        count = len(body["indices"]) if isinstance(body.get("indices"), list) else body.get("count")
    return count if type(count) is int and 0 < count <= MAX_LATENTS else 1
