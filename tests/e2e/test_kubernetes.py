"""examples/kubernetes.yaml fits the server that it deploys."""

import dataclasses
from typing import Any

import yaml

from drawwell_serve import metrics
from drawwell_serve.http.app import PROBES
from drawwell_serve.settings import Settings
from tests.conftest import ROOT

DOCUMENTS: dict[str, Any] = {
    document["kind"]: document for document in yaml.safe_load_all((ROOT / "examples" / "kubernetes.yaml").read_text())
}
POD = DOCUMENTS["Deployment"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
VARIABLES = {variable["name"]: variable.get("value") for variable in CONTAINER["env"]}


def test_it_holds_what_a_deployment_needs() -> None:
    assert set(DOCUMENTS) == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}


def test_probes_are_routes_that_need_no_key() -> None:
    probes = {name: CONTAINER[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert probes == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/livez"}
    assert set(probes.values()) <= set(PROBES)


def test_variables_are_settings_and_make_sense() -> None:
    settings = {field.metadata["variable"]: field.name for field in dataclasses.fields(Settings)}
    ours = {name for name in VARIABLES if name.startswith("DRAWWELL_")}
    assert ours - {"DRAWWELL_KEY"} <= set(settings)
    assert float(VARIABLES["DRAWWELL_DRAIN_SECONDS"]) == Settings().drain_seconds


def test_it_is_not_open_to_all_without_a_key() -> None:
    assert "0.0.0.0" in CONTAINER["args"]
    assert "DRAWWELL_KEY" in VARIABLES and VARIABLES["DRAWWELL_KEY"] is None, "it comes from a secret"


def test_there_is_time_to_drain() -> None:
    pause = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] > pause + Settings().drain_seconds + 5


def test_it_writes_only_where_it_may() -> None:
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"] and POD["securityContext"]["runAsNonRoot"]
    mounted = {mount["mountPath"]: mount["name"] for mount in CONTAINER["volumeMounts"]}
    assert set(mounted) == {"/tmp", VARIABLES["BENTOML_HOME"]}
    assert set(mounted.values()) == {volume["name"] for volume in POD["volumes"] if volume["emptyDir"] == {}}


def test_it_scales_by_metrics_that_there_are_before_anybody_is_refused() -> None:
    limits = {"queue_images": 8192, "queue_requests": Settings().queue_requests}
    wanted = [metric["pods"] for metric in DOCUMENTS["HorizontalPodAutoscaler"]["spec"]["metrics"]]
    assert [pods["metric"]["name"] for pods in wanted] == [metrics._series()[name]._name for name in limits]
    for pods, limit in zip(wanted, limits.values(), strict=True):
        assert float(pods["target"]["averageValue"]) < limit / 2


def test_all_parts_speak_of_the_same_pods() -> None:
    labels = DOCUMENTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert DOCUMENTS["Service"]["spec"]["selector"] == labels
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert DOCUMENTS[kind]["spec"]["selector"]["matchLabels"] == labels
    assert DOCUMENTS["Service"]["spec"]["ports"][0]["targetPort"] in {port["name"] for port in CONTAINER["ports"]}
    assert DOCUMENTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "drawwell"
