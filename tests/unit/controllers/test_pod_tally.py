"""Counts of a controller's Pods, kept event by event, agree with counting the Pods."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.controllers.tally import PodTally

OWNERS = ("uid-a", "uid-b", None)
LABELS = ({"app": "web"}, {"app": "web", "hash": "1"}, {})
PHASES = ("Pending", "Running", "Succeeded", "Failed")


class Source:
    """The side of an informer that a tally listens to."""

    def add_handler(self, on_add, on_update, on_delete):
        self.on_add, self.on_update, self.on_delete = on_add, on_update, on_delete


def pod(name, owner, labels, phase, ready, going):
    metadata = {"uid": f"uid-{name}", "name": name, "labels": labels}
    if owner:
        metadata["ownerReferences"] = [
            {"kind": "Other", "uid": "uid-other", "name": "other"},
            {"kind": "ReplicaSet", "uid": owner, "name": owner, "controller": True},
        ]
    if going:
        metadata["deletionTimestamp"] = "2025-01-01T00:00:00Z"
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {"metadata": metadata, "spec": {}, "status": {"phase": phase, "conditions": [condition]}}


def counted(pods, owner):
    """By labels: Pods that are active, ready, and on their way out. Upstream: FilterActivePods, FilterTerminatingPods."""
    counts = {}
    for each in pods.values():
        references = each["metadata"].get("ownerReferences")
        if not references or references[1]["uid"] != owner:
            continue
        unfinished = each["status"]["phase"] not in ("Succeeded", "Failed")
        going = "deletionTimestamp" in each["metadata"]
        active = unfinished and not going
        ready = active and each["status"]["conditions"][0]["status"] == "True"
        before = counts.get(tuple(sorted(each["metadata"]["labels"].items())), (0, 0, 0, 0))
        now = (1, active, ready, unfinished and going)
        counts[tuple(sorted(each["metadata"]["labels"].items()))] = tuple(map(sum, zip(before, now, strict=True)))
    return counts


STATES = st.tuples(
    st.sampled_from(OWNERS), st.sampled_from(LABELS), st.sampled_from(PHASES), st.booleans(), st.booleans()
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.sampled_from("pqrs"), st.one_of(st.none(), STATES)), max_size=25))
def test_a_tally_is_what_counting_would_give(changes):
    """After any sequence of additions, changes (also of labels and owner) and removals."""
    source = Source()
    tally = PodTally(source)
    pods = {}
    for name, state in changes:
        old = pods.pop(name, None)
        if state is None:
            if old is not None:
                source.on_delete(old)
        else:
            pods[name] = pod(name, *state)
            if old is None:
                source.on_add(pods[name])
            else:
                source.on_update(old, pods[name])

    for owner in OWNERS[:2]:
        groups = {
            group.key: (group.pods, group.active, group.ready, group.terminating) for group in tally.groups(owner)
        }
        assert groups == counted(pods, owner)


def test_an_unknown_controller_has_no_pods():
    """Nothing is kept for those that have none."""
    assert list(PodTally(Source()).groups("uid-none")) == []
