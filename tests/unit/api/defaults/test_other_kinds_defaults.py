"""Defaults of the kinds that are not workloads, against the objects that Kubernetes 1.36.3 stored for the same requests.

The requests are those of tests/unit/api/facts/other_kinds.json that were accepted. What admission and the allocators
add is taken out of the stored object first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubesim.api import kinds
from kubesim.api.defaults import default
from kubesim.api.defaults.service_addresses import drop_fields_of_old_type, resolve_addresses
from kubesim.api.kinds import find_kind

FACTS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "facts" / "other_kinds.json").read_text(encoding="utf-8")
)
# Events are stored as they come; of Roles nothing is defaulted; Namespaces get their finalizer from the strategy.
_KINDS = {
    "Endpoints",
    "EndpointSlice",
    "Lease",
    "LimitRange",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "PriorityClass",
    "ResourceQuota",
    "Secret",
    "Service",
    "StorageClass",
}
ACCEPTED = [fact for fact in FACTS if "stored" in fact and fact["new"]["kind"] in _KINDS]


def _without_additions(stored: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The stored object without what neither the client nor defaulting put there."""
    spec, given_spec = stored.get("spec"), given.get("spec") or {}
    if spec is None:
        return stored
    added = {
        "Node": ("taints",),
        "PersistentVolumeClaim": ("storageClassName",),
        "Service": ("clusterIP", "clusterIPs"),
    }.get(stored["kind"], ())
    spec = {name: value for name, value in spec.items() if name not in added or name in given_spec}
    for source in ("dataSource", "dataSourceRef"):
        # A group that is not there is printed as null.
        if source in spec:
            spec[source] = {name: value for name, value in spec[source].items() if value is not None}
    if stored["kind"] == "Service" and "ports" in spec:
        spec["ports"] = [{name: port[name] for name in port if name != "nodePort"} for port in spec["ports"]]
    return {name: value for name, value in {**stored, "spec": spec}.items() if name != "spec" or value}


@pytest.mark.parametrize("fact", ACCEPTED, ids=[fact["id"] for fact in ACCEPTED])
def test_an_object_is_defaulted_as_kubernetes_defaults_it(fact: dict[str, Any]) -> None:
    """Everything but metadata and status agrees with what was stored."""
    kind = find_kind(fact["new"]["apiVersion"], fact["new"]["kind"])
    assert kind is not None
    obj = default(kind, fact["new"])
    if kind is kinds.SERVICE:
        obj, causes = resolve_addresses(obj, fact.get("old"))
        assert causes == []
        if "old" in fact:
            obj = drop_fields_of_old_type(obj, fact["old"])
    got = {name: obj[name] for name in obj if name not in ("metadata", "status")}
    reference = obj if kind is kinds.SERVICE else fact["new"]

    assert _without_additions(got, reference) == _without_additions(fact["stored"], reference)


@pytest.mark.parametrize("fact", FACTS, ids=[fact["id"] for fact in FACTS])
def test_a_defaulted_object_is_left_as_it_is(fact: dict[str, Any]) -> None:
    """Defaulting twice gives the very same object, so that nothing shared is copied."""
    kind = find_kind(fact["new"]["apiVersion"], fact["new"]["kind"])
    assert kind is not None
    once = default(kind, fact["new"])

    assert default(kind, once) is once


def _node_port_service(*ports: dict[str, Any]) -> dict[str, Any]:
    spec = {"type": "NodePort", "ports": list(ports)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "one", "namespace": "default"}, "spec": spec}


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([{"name": "a", "port": 81}], [30001]),
        ([{"name": "b", "port": 80}], [None]),
        ([{"name": "a", "port": 80}, {"name": "b", "port": 81, "nodePort": 30001}], [None, 30001]),
    ],
)
def test_a_node_port_stays_with_its_name(ports: list[Any], expected: list[int | None]) -> None:
    """Unless another port has taken the number: storage.go:patchAllocatedValues."""
    old = _node_port_service({"name": "a", "port": 80, "nodePort": 30001})

    service, causes = resolve_addresses(_node_port_service(*ports), old)

    assert causes == []
    assert [port.get("nodePort") for port in service["spec"]["ports"]] == expected


def test_a_node_allocates_what_it_has() -> None:
    """defaults.go:SetDefaults_NodeStatus, with amounts rounded up to thousandths."""
    node = {"metadata": {"name": "n"}, "status": {"capacity": {"cpu": 1.5, "ephemeral-storage": "100u", "pods": "1e2"}}}

    status = default(kinds.NODE, node)["status"]

    assert status["capacity"] == {"cpu": "1500m", "ephemeral-storage": "1m", "pods": "100"}
    assert status["allocatable"] == status["capacity"]


def test_a_namespace_carries_its_name_as_a_label() -> None:
    """defaults.go:SetDefaults_Namespace, which overwrites any other value; one without a name yet has none."""
    labels = {"kubernetes.io/metadata.name": "other", "a": "b"}
    named = default(kinds.NAMESPACE, {"metadata": {"name": "one", "labels": labels}})
    unnamed = default(kinds.NAMESPACE, {"metadata": {"generateName": "one-"}})

    assert named["metadata"]["labels"] == {"kubernetes.io/metadata.name": "one", "a": "b"}
    assert "labels" not in unnamed["metadata"]
