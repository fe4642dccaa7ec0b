"""Events as client-go correlates them. Upstream: client-go/tools/record/{event,events_cache}.go @v1.36"""

import pytest

from kubesim.api.kinds import EVENT
from kubesim.api.requests import delete
from kubesim.client.recorder import Recorder
from kubesim.sim.loop import MINUTE, SECOND

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "resourceVersion": "7"},
}


@pytest.fixture
def recorder(world):
    """A kubelet's."""
    return Recorder(world.loop, world.client, "kubelet", "node-1")


def _events(world):
    return list(world.store.table("events").objects.values())


def _counts(world):
    return [(event["message"], event["count"]) for event in _events(world)]


def test_an_event_says_who_saw_what_of_which_object(world, recorder):
    """Field by field as the real kubelet's (recording a1-plain-pod)."""
    world.run(SECOND)
    recorder.event(POD, "Normal", "Started", "Container started", "spec.containers{main}")
    world.run()
    (event,) = _events(world)
    metadata = event["metadata"]

    assert {part: value for part, value in event.items() if part != "metadata"} == {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": {
            "kind": "Pod",
            "namespace": "n",
            "name": "p",
            "uid": "u",
            "apiVersion": "v1",
            "resourceVersion": "7",
            "fieldPath": "spec.containers{main}",
        },
        "reason": "Started",
        "message": "Container started",
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": "2026-01-01T00:00:01Z",
        "lastTimestamp": "2026-01-01T00:00:01Z",
        "count": 1,
        "type": "Normal",
        "reportingComponent": "kubelet",
        "reportingInstance": "node-1",
    }
    name, _, stamp = metadata["name"].partition(".")
    assert (name, metadata["namespace"]) == ("p", "n")
    assert int(stamp, 16) == (1_767_225_600 + 1) * SECOND


def test_an_object_of_the_cluster_has_its_events_in_default(world, recorder):
    """Nodes, for one; two of one instant get different names."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1", "uid": "node-1"}}
    sent = []
    world.client.send = lambda request, _: sent.append(request.body["metadata"])
    recorder.event(node, "Normal", "NodeReady", "a")
    recorder.event(node, "Normal", "NodeReady", "b")

    assert [metadata["namespace"] for metadata in sent] == ["default", "default"]
    assert sent[0]["name"] != sent[1]["name"]


def test_an_equal_one_raises_the_count_of_the_one_before(world, recorder):
    """Its first time stays."""
    for _ in range(3):
        recorder.event(POD, "Warning", "BackOff", "again")
        world.run(10 * SECOND)
    (event,) = _events(world)

    assert (event["count"], event["firstTimestamp"], event["lastTimestamp"]) == (
        3,
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:20Z",
    )


@pytest.mark.parametrize(
    "other",
    [
        {"type_": "Normal"},
        {"reason": "Other"},
        {"message": "other"},
        {"field_path": "spec.containers{b}"},
        {"obj": {**POD, "metadata": {**POD["metadata"], "uid": "v"}}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_one_that_differs_is_an_event_of_its_own(world, recorder, other):
    """In type, reason, message, part of the object or object."""
    same = {"obj": POD, "type_": "Warning", "reason": "BackOff", "message": "again", "field_path": "spec.containers{a}"}
    recorder.event(**same)
    recorder.event(**{**same, **other})
    world.run()

    assert [event["count"] for event in _events(world)] == [1, 1]


def test_the_tenth_different_message_and_those_after_it_are_combined(world, recorder):
    """Into one Event that tells of the last, counts, and names no reporter."""
    for number in range(13):
        recorder.event(POD, "Normal", "Scaled", f"to {number}", f"part {number % 2}")
        world.run(SECOND)
    combined = _events(world)[-1]

    assert _counts(world) == [
        *((f"to {number}", 1) for number in range(9)),
        ("(combined from similar events): to 12", 4),
    ]
    assert combined["reportingComponent"] == ""
    assert combined["source"] == {"component": "kubelet", "host": "node-1"}


def test_after_ten_minutes_of_silence_messages_are_told_apart_again(world, recorder):
    """The interval is counted from the last one."""
    for number in range(9):
        recorder.event(POD, "Normal", "Scaled", f"to {number}")
    world.run(10 * MINUTE + SECOND)
    recorder.event(POD, "Normal", "Scaled", "to 9")
    world.run()

    assert _counts(world)[-1] == ("to 9", 1)


def test_one_object_has_25_events_and_then_one_every_five_minutes(world, recorder):
    """What is held back counts all the same; the other type has its own allowance."""
    for _ in range(30):
        recorder.event(POD, "Warning", "BackOff", "again")
        world.run(SECOND)
    assert _counts(world) == [("again", 25)]
    recorder.event(POD, "Normal", "Pulled", "fine")
    world.run(5 * MINUTE)
    recorder.event(POD, "Warning", "BackOff", "again")
    world.run()

    assert _counts(world) == [("again", 31), ("fine", 1)]


def test_one_that_has_expired_is_created_anew_with_its_name_and_count(world, recorder):
    """As if it had never been gone."""
    recorder.event(POD, "Warning", "BackOff", "again")
    world.run()
    (event,) = _events(world)
    world.do(delete(EVENT, "n", event["metadata"]["name"]))
    recorder.event(POD, "Warning", "BackOff", "again")
    world.run()
    (renewed,) = _events(world)

    assert renewed["metadata"]["name"] == event["metadata"]["name"]
    assert (renewed["count"], renewed["firstTimestamp"]) == (2, event["firstTimestamp"])
