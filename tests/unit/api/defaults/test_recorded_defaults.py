"""Defaults of Pods and workloads against what a real API server stored.

`recorded_defaults.jsonl` holds one case a line: the spec (or template) sent to Kubernetes 1.36.3 with `dryRun=All` and
the one that came back, without what admission adds to Pods.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubesim.api import kinds
from kubesim.api.container_totals import total_of_containers
from kubesim.api.defaults import default
from kubesim.api.defaults.container import default_pull_policy
from kubesim.api.scheme import Kind

_KINDS: dict[str, Kind] = {
    kind.kind: kind for kind in (kinds.DEPLOYMENT, kinds.POD, kinds.POD_TEMPLATE, kinds.REPLICA_SET, kinds.STATEFUL_SET)
}


def _cases() -> list[Any]:
    lines = (Path(__file__).parent / "recorded_defaults.jsonl").read_text().splitlines()
    return [pytest.param(case, id=case["id"]) for case in map(json.loads, lines)]


def _object(case: Any) -> tuple[Kind, str, Any]:
    kind = _KINDS[case["kind"]]
    part = "template" if case["kind"] == "PodTemplate" else "spec"
    metadata = {"name": "x", "namespace": "n"}
    return kind, part, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, part: case["given"]}


@pytest.mark.parametrize("case", _cases())
def test_defaults_are_those_of_a_real_api_server(case):
    """Every field that came back is there, and no other."""
    kind, part, obj = _object(case)

    assert default(kind, obj)[part] == case["stored"]


@pytest.mark.parametrize("case", _cases())
def test_a_defaulted_object_is_handed_back_as_it_is(case):
    """Defaulting twice makes no new object, and the first time leaves the given one alone."""
    kind, _, obj = _object(case)
    before = json.dumps(obj)
    defaulted = default(kind, obj)

    assert default(kind, defaulted) is defaulted
    assert json.dumps(obj) == before


def test_pods_of_one_template_share_their_defaulted_spec():
    """A ReplicaSet's Pods have one spec between them before defaulting and after."""
    spec = {"containers": [{"name": "c", "image": "nginx"}]}
    first, second = ({"metadata": {"name": name}, "spec": spec} for name in "ab")

    assert default(kinds.POD, first)["spec"] is default(kinds.POD, second)["spec"]


def test_a_kind_without_defaults_is_handed_back():
    """Nothing is set on kinds that have no row."""
    obj = {"metadata": {"name": "x"}}

    assert default(kinds.INGRESS_CLASS, obj) is obj


def test_a_hostile_image_reference_takes_no_time():
    """Matching a reference is linear enough for the longest field that anyone sends."""
    assert default_pull_policy("a" * 5000 + "!") == "IfNotPresent"
    assert default_pull_policy("a-" * 2500 + "!") == "IfNotPresent"


def test_containers_add_up_and_init_containers_peak():
    """Sidecars run beside everything that starts after them.

    Upstream: component-helpers/resource/helpers.go:AggregateContainerRequests @v1.36
    """

    def container(cpu, **more):
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [container("2"), container("500m", restartPolicy="Always"), container("3")],
        "containers": [container("1"), container("1500m")],
    }

    assert total_of_containers(spec, "requests") == {"cpu": "3500m"}
    assert total_of_containers({"containers": spec["containers"]}, "requests") == {"cpu": "2500m"}
