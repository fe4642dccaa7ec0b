"""The table of kinds against the real server's own list, and the look-ups over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubesim.api import kinds, schema
from kubesim.api.kinds import ALL_KINDS, find_by_word, find_kind, find_resource, nearest_kind, verbs_of

# `kubectl api-resources -o wide` against a 1.36.3 API server with default flags.
REAL = (Path(__file__).parent / "facts" / "api_resources.txt").read_text().splitlines()


def _real_rows() -> list[dict[str, str]]:
    header = REAL[0]
    names = header.split()
    starts = [header.index(name) for name in names]
    ends = [*starts[1:], None]
    return [
        {name: line[start:end].strip() for name, start, end in zip(names, starts, ends, strict=True)}
        for line in REAL[1:]
    ]


@pytest.mark.parametrize("row", _real_rows(), ids=lambda row: f"{row['APIVERSION']} {row['KIND']}")
def test_row_says_what_the_real_server_lists(row):
    """Every column that kubectl prints is what the table says."""
    kind = find_kind(row["APIVERSION"], row["KIND"])

    assert kind is not None
    assert kind.plural == row["NAME"]
    assert ",".join(kind.short_names) == row["SHORTNAMES"]
    assert str(kind.namespaced).lower() == row["NAMESPACED"]
    assert ",".join(verbs_of(kind)) == row["VERBS"]
    assert ",".join(kind.categories) == row["CATEGORIES"]


def test_table_has_no_kind_that_the_real_server_lacks():
    """Only the older version of a group, which kubectl does not list, stands beside the real rows."""
    listed = {(row["APIVERSION"], row["KIND"]) for row in _real_rows()}

    assert [row for row in ALL_KINDS if (row.api_version, row.kind) not in listed] == [
        kinds.HORIZONTAL_POD_AUTOSCALER_V1
    ]


def test_every_kind_has_a_schema():
    """Each row's schema name is a definition that has the kind's metadata or its items."""
    assert [row for row in ALL_KINDS if schema.field(row.schema, "metadata") is None] == []


def test_modelled_kinds_are_these():
    """Kinds with behaviour are the ones that controllers, scheduler and kubelets handle."""
    assert sorted({row.kind for row in ALL_KINDS if row.modelled}) == sorted(
        [
            *("ConfigMap", "ControllerRevision", "Deployment", "EndpointSlice", "Endpoints", "Event", "Lease"),
            *("Namespace", "Node", "PersistentVolume", "PersistentVolumeClaim", "Pod", "PodDisruptionBudget"),
            *("PriorityClass", "ReplicaSet", "Secret", "Service", "ServiceAccount", "StatefulSet", "StorageClass"),
        ]
    )


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("deploy", kinds.DEPLOYMENT),
        ("deployments", kinds.DEPLOYMENT),
        ("deployment", kinds.DEPLOYMENT),
        ("Deployment", kinds.DEPLOYMENT),
        ("deployments.apps", kinds.DEPLOYMENT),
        ("deploy.apps", kinds.DEPLOYMENT),
        ("deployments.v1.apps", kinds.DEPLOYMENT),
        ("po", kinds.POD),
        ("events", kinds.EVENT),
        ("events.events.k8s.io", kinds.EVENTS_K8S_IO_EVENT),
        ("events.events", kinds.EVENTS_K8S_IO_EVENT),
        ("hpa", kinds.HORIZONTAL_POD_AUTOSCALER),
        ("horizontalpodautoscalers.v1.autoscaling", kinds.HORIZONTAL_POD_AUTOSCALER_V1),
        ("endpoints", kinds.ENDPOINTS),
        ("crds", kinds.CUSTOM_RESOURCE_DEFINITION),
        ("deployments.batch", None),
        ("frobnicators", None),
        ("", None),
    ],
)
def test_words_find_what_kubectl_takes_them_for(word, expected):
    """A word of any of kubectl's forms finds the kind, core and preferred versions first."""
    assert find_by_word(word) is expected


def test_resources_are_found_by_the_parts_of_a_url():
    """Group, version and plural name one row; a wrong version none."""
    assert find_resource("apps", "v1", "deployments") is kinds.DEPLOYMENT
    assert find_resource("", "v1", "pods") is kinds.POD
    assert find_resource("apps", "v1beta1", "deployments") is None


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("apps/v1beta1", "Deployment", "apps/v1 Deployment"),
        ("extensions/v1beta1", "Ingress", "networking.k8s.io/v1 Ingress"),
        ("v1", "Deployment", "apps/v1 Deployment"),
        ("apps/v1", "Deploymnet", "apps/v1 Deployment"),
        ("apps/v1", "deployment", "apps/v1 Deployment"),
        ("v1", "pods", "v1 Pod"),
        ("autoscaling/v2beta2", "HorizontalPodAutoscaler", "autoscaling/v2 HorizontalPodAutoscaler"),
        ("example.com/v1", "Frobnicator", ""),
    ],
)
def test_nearest_kind_is_a_usable_suggestion(api_version, kind, expected):
    """A misspelt kind or a version that is gone leads to the row most likely meant."""
    assert nearest_kind(api_version, kind) == expected
