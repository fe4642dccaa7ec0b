"""Validation of Pods and workloads against what a real API server answered.

The `.jsonl` files hold one case a line: objects sent to Kubernetes 1.36.3 with `dryRun=All` and the
`status.details.causes` of its answers (reason, field, message), none where it accepted the object.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubesim.api import kinds
from kubesim.api.defaults import default
from kubesim.api.scheme import Kind
from kubesim.api.validation import validate_create, validate_status_update, validate_update
from kubesim.errors import Cause

_HERE = Path(__file__).parent
_KINDS: dict[str, Kind] = {
    kind.kind: kind
    for kind in (
        kinds.CONTROLLER_REVISION,
        kinds.DEPLOYMENT,
        kinds.POD,
        kinds.POD_TEMPLATE,
        kinds.REPLICA_SET,
        kinds.STATEFUL_SET,
    )
}


def _cases(name: str) -> list[Any]:
    lines = (_HERE / name).read_text().splitlines()
    return [pytest.param(case, id=case["id"]) for case in map(json.loads, lines)]


def _admitted(obj: Any) -> Any:
    """The object as admission leaves it, as far as validation can tell: a Pod has a service account."""
    if obj["kind"] != "Pod":
        return obj
    return {**obj, "spec": {**obj["spec"], "serviceAccountName": "default"}}


def _listed(causes: list[Cause]) -> list[list[str]]:
    return [list(cause) for cause in causes]


@pytest.mark.parametrize("case", _cases("recorded_creates.jsonl"))
def test_a_create_breaks_the_rules_that_it_breaks_on_a_real_api_server(case):
    """Reasons, fields, texts and their order are the recorded ones."""
    kind = _KINDS[case["object"]["kind"]]

    causes = validate_create(kind, _admitted(default(kind, case["object"])))

    assert _listed(causes) == case["causes"]


@pytest.mark.parametrize("case", _cases("recorded_updates.jsonl"))
def test_an_update_breaks_the_rules_that_it_breaks_on_a_real_api_server(case):
    """The same for changes of stored objects, through the object itself and through its status."""
    kind = _KINDS[case["kind"]]
    validate = validate_status_update if case["subresource"] else validate_update

    causes = validate(kind, default(kind, case["new"]), default(kind, case["old"]))

    assert _listed(causes) == case["causes"]


@pytest.mark.parametrize("case", _cases("recorded_updates.jsonl"))
def test_a_stored_object_may_be_written_back_unchanged(case):
    """What the real API server has stored passes every validation of ours."""
    kind, stored = _KINDS[case["kind"]], case["old"]

    assert validate_update(kind, stored, json.loads(json.dumps(stored))) == []
    assert validate_status_update(kind, stored, stored) == []


def test_a_kind_without_rules_has_its_metadata_checked():
    """A kind that nobody models is still held to the rules that all objects share."""
    causes = validate_create(kinds.INGRESS_CLASS, {"metadata": {"name": ""}})

    assert [cause.field for cause in causes] == ["metadata.name"]


@pytest.mark.parametrize(
    "kind, times",
    [
        pytest.param(kinds.POD, "lllflf", id="a Pod is checked as on create too"),
        pytest.param(kinds.CONTROLLER_REVISION, "lllflf", id="a ControllerRevision is checked as on create too"),
        pytest.param(kinds.DEPLOYMENT, "lllf", id="a Deployment is not"),
    ],
)
def test_broken_metadata_is_reported_as_often_as_upstream_checks_it(kind, times):
    """Labels (l) and finalizers (f) in the order seen on Kubernetes 1.36.3 for an update of each kind."""
    stored = next(
        case.values[0]["old"] for case in _cases("recorded_updates.jsonl") if case.values[0]["kind"] == kind.kind
    )
    broken = {**stored, "metadata": {**stored["metadata"], "labels": {"a b": "c"}, "finalizers": ["foo"]}}

    causes = validate_update(kind, broken, stored)

    assert "".join(cause.field.removeprefix("metadata.")[0] for cause in causes) == times
