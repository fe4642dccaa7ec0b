"""What a Pod that is being resized takes. Upstream: component-helpers/resource/helpers.go @v1.36"""

from __future__ import annotations

import pytest

from kubesim.api.effective_requests import effective_spec

WAITS = {"conditions": [{"type": "PodResizePending", "reason": "Deferred"}]}
NEVER = {"conditions": [{"type": "PodResizePending", "reason": "Infeasible"}]}


@pytest.mark.parametrize(
    ("asked", "given", "has", "more", "expected"),
    [
        ("1", "1", "1", {}, "1"),
        ("2", "1", "1", {}, "2"),
        ("2", "2", "1", {}, "2"),
        ("1", "2", "2", {}, "2"),
        ("500m", "1", "1500m", {}, "1500m"),
        ("2", "1", "1", WAITS, "2"),
        ("2", "1", "1", NEVER, "1"),
    ],
    ids=["nothing", "asked for more", "given more", "asked for less", "has most", "waits", "will never be granted"],
)
@pytest.mark.parametrize("field", ["containers", "initContainers", "pod"])
def test_the_most_counts(asked, given, has, more, expected, field):
    """Of what is asked for, given and there; where the node has refused for good, what is asked for does not."""
    one = {"name": "c", "restartPolicy": "Always", "resources": {"requests": {"cpu": asked}}}
    found = {"name": "c", "resources": {"requests": {"cpu": has}}, "allocatedResources": {"cpu": given}}
    other, quiet = {"name": "main"}, {"name": "main", "resources": {}}
    spec, status = {"containers": [other]}, {"containerStatuses": [quiet], **more}
    if field == "pod":
        spec["resources"] = one["resources"]
        status |= {name: found[name] for name in ("resources", "allocatedResources")}
    else:
        spec[field], status[field[:-1] + "Statuses"] = [one], [found]

    effective = effective_spec({"metadata": {"generation": 2}, "spec": spec, "status": status})

    holder = effective if field == "pod" else effective[field][0]
    assert holder["resources"]["requests"] == {"cpu": expected}
    assert (effective is spec) == (expected == asked)


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"containerStatuses": []},
        {"containerStatuses": [{"name": "c", "state": {"waiting": {}}}]},
        {"containerStatuses": [{"name": "other", "resources": {"requests": {"cpu": "9"}}}]},
    ],
    ids=["no status", "no containers", "a container that has not begun", "another container"],
)
def test_without_word_of_the_node_the_spec_counts(status):
    """It is the very spec."""
    spec = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}

    assert effective_spec({"metadata": {"generation": 2}, "spec": spec, "status": status}) is spec


def test_an_init_container_counts_as_it_is_asked_for():
    """Only sidecars stay."""
    first = {"name": "first", "resources": {"requests": {"cpu": "1"}}}
    found = {"name": "first", "resources": {"requests": {"cpu": "2"}}, "allocatedResources": {"cpu": "2"}}
    spec = {"containers": [{"name": "c"}], "initContainers": [first]}

    status = {"containerStatuses": [{"name": "c", "resources": {}}], "initContainerStatuses": [found]}
    assert effective_spec({"metadata": {"generation": 2}, "spec": spec, "status": status}) is spec
