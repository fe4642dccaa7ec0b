"""The patch that turns one status into another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubesim.api.kinds import POD
from kubesim.api.patch import apply_strategic_merge_patch
from kubesim.node.pod_conditions import KUBELET_CONDITIONS
from kubesim.node.status_patch import compute_status_patch

READY = {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": "2026-01-01T00:00:00Z"}
UNREADY = {
    **READY,
    "status": "False",
    "reason": "ContainersNotReady",
    "message": "containers with unready status: [main]",
}
GATE = {"type": "example.com/lb", "status": "True"}
API = {"phase": "Running", "conditions": [UNREADY, GATE], "hostIP": "10.0.0.1"}


def test_an_equal_status_needs_no_patch():
    """Equal content is enough, and the order of conditions doesn't matter."""
    status = {"phase": "Running", "conditions": [GATE, dict(UNREADY)], "hostIP": "10.0.0.1"}

    assert compute_status_patch(API, status, may_run=True) is None


def test_only_changes_are_sent():
    """Unchanged fields stay out; what a condition no longer has is removed by null."""
    status = {"phase": "Running", "conditions": [GATE, READY], "hostIP": "10.0.0.1", "podIP": "10.1.0.1"}

    assert compute_status_patch(API, status, may_run=True) == {
        "podIP": "10.1.0.1",
        "$setElementOrder/conditions": [{"type": "example.com/lb"}, {"type": "Ready"}],
        "conditions": [{"type": "Ready", "status": "True", "reason": None, "message": None}],
    }


def test_foreign_conditions_are_left_alone():
    """A condition of somebody else that the API no longer has is not brought back, nor is a new one removed."""
    status = {"phase": "Running", "conditions": [{"type": "other"}, UNREADY], "hostIP": "10.0.0.1"}

    assert compute_status_patch(API, status, may_run=True) is None


def test_the_end_waits_for_the_containers():
    """While containers may still run the phase isn't terminal, but all else is sent (recording a4, `batch`)."""
    status = {"phase": "Succeeded", "conditions": [GATE, READY], "hostIP": "10.0.0.1"}

    assert "phase" not in compute_status_patch(API, status, may_run=True)
    assert compute_status_patch(API, status, may_run=False)["phase"] == "Succeeded"


def test_addresses_are_replaced():
    """A new address comes with the removal of the old one, as the list is merged by address."""
    old = {"phase": "Running", "podIPs": [{"ip": "10.1.0.1"}], "conditions": []}
    new = {"phase": "Running", "podIPs": [{"ip": "10.1.0.2"}], "conditions": []}

    patch = compute_status_patch(old, new, may_run=True)

    assert patch == {"podIPs": [{"ip": "10.1.0.2"}, {"ip": "10.1.0.1", "$patch": "delete"}]}


def test_dropped_conditions_are_deleted():
    """A rejected Pod has none of the kubelet's conditions."""
    status = {"phase": "Running", "conditions": [GATE], "hostIP": "10.0.0.1"}

    assert compute_status_patch(API, status, may_run=False)["conditions"] == [{"type": "Ready", "$patch": "delete"}]


_TIMES = st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z"])
# One family of addresses, as everywhere in the simulator.
_ADDRESS_LISTS = st.lists(st.sampled_from(["10.1.0.1", "10.1.0.2"]), max_size=1).map(
    lambda ips: [{"ip": ip} for ip in ips]
)
_QUANTITIES = st.dictionaries(st.sampled_from(["cpu", "memory"]), st.sampled_from(["1", "2"]), max_size=2)


@st.composite
def conditions(draw, foreign):
    """The kubelet's conditions in its order, each perhaps with a reason, behind those of others."""
    own = []
    for kind in KUBELET_CONDITIONS:
        condition = {
            "type": kind,
            "status": draw(st.sampled_from(["True", "False"])),
            "lastTransitionTime": draw(_TIMES),
        }
        if draw(st.booleans()):
            condition["reason"] = draw(st.sampled_from(["A", "B"]))
        own.append(condition)
    return [*foreign, *own]


@st.composite
def statuses(draw):
    """A status as the kubelet may compute it."""
    status = {
        "phase": draw(st.sampled_from(["Pending", "Running"])),
        "conditions": draw(conditions([GATE])),
        "resources": draw(_QUANTITIES),
        "containerStatuses": [{"name": "main", "restartCount": draw(st.integers(0, 2))}],
    }
    for field, values in (("reason", st.sampled_from(["Evicted", "Other"])), ("podIPs", _ADDRESS_LISTS)):
        if draw(st.booleans()):
            status[field] = draw(values)
    return status


@given(statuses(), statuses())
def test_the_patch_leads_to_the_status(old, new):
    """The API server makes the new status out of the old one and the patch, whatever the two are."""
    if "podIPs" in old:
        new.setdefault("podIPs", [])
    patch = compute_status_patch(old, new, may_run=True)
    pod = {"metadata": {"name": "web"}, "status": old}

    merged = apply_strategic_merge_patch(pod, {"status": patch or {}}, POD.schema)["status"]

    assert {field: value for field, value in merged.items() if value} == {
        field: value for field, value in new.items() if value
    }
    assert compute_status_patch(merged, new, may_run=True) is None
