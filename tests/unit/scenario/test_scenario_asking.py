"""Conditions: paths into objects, and bounds."""

from __future__ import annotations

import msgspec
import pytest

from kubesim.scenario.asking import ABSENT, field_of
from kubesim.scenario.model import Bound, Condition, is_within

OBJECT = {
    "metadata": {"annotations": {"deployment.kubernetes.io/revision": "2"}},
    "spec": {"containers": [{"name": "main", "image": "a:1"}, {"name": "side", "image": "b:1"}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}], "replicas": 3},
}


@pytest.mark.parametrize(
    "path, value",
    [
        ("status.replicas", 3),
        ("status.conditions[Ready].status", "True"),
        ("spec.containers[side].image", "b:1"),
        ("spec.containers[0].image", "a:1"),
        ("metadata.annotations[deployment.kubernetes.io/revision]", "2"),
        ("status.nothing", ABSENT),
        ("spec.containers[7].image", ABSENT),
        ("status.replicas.more", ABSENT),
    ],
)
def test_paths(path, value):
    """Names by dots; in brackets an index, a key, or an entry's type or name."""
    assert field_of(OBJECT, path) == value


@pytest.mark.parametrize(
    "bound, value, is_so",
    [
        (Bound(equals=3), 3, True),
        (Bound(equals=3), 4, False),
        (Bound(at_least=2, at_most=3), 3, True),
        (Bound(at_least=2), 1, False),
        (Bound(at_most=2), ABSENT, False),
        (Condition(object="pod/a", field="x", equals=msgspec.UNSET, at_least=1), True, False),
        (Condition(object="pod/a", field="x", equals="Failed"), "Failed", True),
    ],
)
def test_bounds(bound, value, is_so):
    """Only numbers can be more or less."""
    assert is_within(bound, value) is is_so
