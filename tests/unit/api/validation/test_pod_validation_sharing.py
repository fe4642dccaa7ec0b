"""What is not looked at twice, and values that mean the same."""

from __future__ import annotations

import pytest

from kubesim.api import kinds
from kubesim.api.defaults import default
from kubesim.api.validation import pod_spec, validate_create, validate_status_update, validate_update
from kubesim.api.validation.equality import equivalent

_SPEC = {"containers": [{"name": "c", "image": "nginx:1"}]}
_METADATA = {"name": "p", "namespace": "n", "uid": "u", "resourceVersion": "1"}


def _pod(**changes):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": _METADATA, "spec": _SPEC, "status": {"phase": "Pending"}}
    return {**default(kinds.POD, pod), **changes}


def test_pods_that_share_a_spec_are_checked_once(monkeypatch):
    """The second Pod of a template costs a look-up."""
    first = _pod()
    second = {**first, "metadata": {**_METADATA, "name": "q"}}
    assert validate_create(kinds.POD, first) == []

    monkeypatch.setattr(pod_spec, "_only_in_pod", None)

    assert validate_create(kinds.POD, second) == []


def test_the_claims_of_ephemeral_volumes_are_named_by_the_pod():
    """A spec with a generic ephemeral volume is checked for each Pod, as the claim's name depends on the Pod's."""
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    volumes = [{"name": "v", "ephemeral": {"volumeClaimTemplate": template}}]
    volumes.append({"name": "w", "persistentVolumeClaim": {"claimName": "p-v"}})
    pod = default(kinds.POD, {**_pod(), "spec": {**_SPEC, "volumes": volumes}})
    other = {**pod, "metadata": {**_METADATA, "name": "q"}}

    causes = validate_create(kinds.POD, pod)

    assert [cause.field for cause in causes] == ["spec.volumes[1].persistentVolumeClaim.claimName"]
    assert validate_create(kinds.POD, other) == []


def test_a_status_write_does_not_look_at_the_spec():
    """A Pod with a spec that would be refused today can still have its status written."""
    spec = {"containers": []}

    causes = validate_status_update(kinds.POD, _pod(spec=spec, status={"phase": "Running"}), _pod(spec=spec))

    assert causes == []


def test_a_grace_period_that_was_negative_may_become_one():
    """Upstream: pkg/apis/core/validation/validation.go:ValidatePodUpdate @v1.36"""
    old = _pod()
    old = {**old, "spec": {**old["spec"], "terminationGracePeriodSeconds": -1}}

    assert validate_update(kinds.POD, {**old, "spec": {**old["spec"], "terminationGracePeriodSeconds": 1}}, old) == []


@pytest.mark.parametrize(
    "left, right, same",
    [
        pytest.param({"a": []}, {}, True, id="an empty list is an absent one"),
        pytest.param({"a": {}}, {}, True, id="an empty map is an absent one"),
        pytest.param({"requests": {"cpu": "0.5"}}, {"requests": {"cpu": "500m"}}, True, id="amounts count"),
        pytest.param({"requests": {"cpu": "1"}}, {"requests": {"memory": "1"}}, False, id="resources differ"),
        pytest.param({"hostNetwork": False}, {}, True, id="a plain flag that is false is absent"),
        pytest.param({"automountServiceAccountToken": False}, {}, False, id="a pointer to false is not absent"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, False, id="lists differ in length"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 1}}, True, id="equal values are equal"),
        pytest.param({"a": ""}, {}, False, id="an empty string is not absent"),
    ],
)
def test_equality_is_that_of_decoded_objects(left, right, same):
    """Upstream: apimachinery/pkg/api/equality/semantic.go @v1.36"""
    assert equivalent(left, right) is same
    assert equivalent(right, left) is same
