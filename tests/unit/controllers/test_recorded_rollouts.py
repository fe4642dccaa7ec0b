"""Whole lives of Deployments, write by write, against what a real Kubernetes 1.36.3 wrote.

What is compared is the sequence of distinct states of each object and the sequence of its Events: generation and
observedGeneration, size, counts, conditions in their order, the Deployment controller's annotations.
"""

from __future__ import annotations

import pytest
from rollout_world import BROKEN_IMAGE, RolloutWorld, create_pod, recorded_story

from kubesim.api.kinds import DEPLOYMENT, POD


def _change(value, image="app"):
    return lambda world: world.set_template(value=value, image=image)


def _release_a_pod(world):
    pod = next(pod for pod in world.pods() if pod["metadata"]["name"] != "stray")
    world.patch(POD, pod["metadata"]["name"], {"metadata": {"labels": {"app": None}}})


# Per recording: its sections with what the user does, and for how many seconds one then watches.
SCRIPTS = {
    "rolling": {
        "create": (lambda world: world.deployment(), 4),
        "update": (_change("2"), 9),
        "undo": (_change("1"), 9),
        "scale to 5": (lambda world: world.scale(5), 4),
        "scale to 2": (lambda world: world.scale(2), 3),
        "pause": (lambda world: world.change(paused=True), 2),
        "change while paused": (_change("3"), 2),
        "scale to 3 while paused": (lambda world: world.scale(3), 5),
        "resume": (lambda world: world.change(paused=None), 9),
        "delete a Pod": (lambda world: world.delete(POD, world.pods()[-1]["metadata"]["name"]), 3),
    },
    "bad_image": {
        "create": (lambda world: world.deployment(progressDeadlineSeconds=20), 4),
        "bad image": (_change("1", BROKEN_IMAGE), 24),
        "undo": (_change("1"), 3),
    },
    "recreate": {
        "create": (lambda world: world.deployment(strategy={"type": "Recreate"}), 4),
        "update": (_change("2"), 4),
        "delete in the foreground": (lambda world: world.drop(DEPLOYMENT, "web", "Foreground"), 2),
    },
    "adoption": {
        "create": (lambda world: world.deployment(replicas=2), 4),
        "delete and orphan": (lambda world: world.drop(DEPLOYMENT, "web", "Orphan"), 3),
        "create again": (lambda world: world.deployment(replicas=2), 2),
        "stray Pod": (lambda world: create_pod(world, "stray", world.pods()[0]["metadata"]["labels"]), 3),
        "release a Pod": (_release_a_pod, 4),
    },
}


# Here the real garbage collector was slower than ours, so that statuses came between that nothing writes when it is fast.
RACING = {"delete in the foreground", "delete and orphan"}
# Which of ten similar Events is forgotten when an eleventh comes is left to chance upstream, and with it what is combined.
PICKED_BY_CHANCE = {"resume"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_write_is_as_recorded(name):
    """The Deployment and its ReplicaSets go through the recorded states, and say the recorded things."""
    world = RolloutWorld()
    expected = recorded_story(name)
    happened = {}
    for section, (act, seconds) in SCRIPTS[name].items():
        act(world)
        world.run(seconds)
        happened[section] = world.story()

    assert list(happened) == list(expected)
    for section, story in expected.items():
        if section in RACING:
            assert happened[section].keys() == story.keys()
            for subject, lines in story.items():
                assert_passes_through(happened[section][subject], lines)
            continue
        if section in PICKED_BY_CHANCE:
            for each in (happened[section], story):
                each["deployment events"] = [_uncombined(line) for line in each["deployment events"]]
        assert happened[section] == story, section


def assert_passes_through(states, recorded):
    """The states come in this order in the recording, and the object is gone in the end if it was there."""
    rest = iter([line.removeprefix("gone ") for line in recorded])
    plain = [line.removeprefix("gone ") for line in states]
    distinct = [line for before, line in zip([None, *plain], plain, strict=False) if line != before]

    assert all(line in rest for line in distinct)
    assert states[-1].startswith("gone") == recorded[-1].startswith("gone")


def _uncombined(line):
    reason, _, message = line.partition(" x")
    return reason + ": " + message.partition(": ")[2].removeprefix("(combined from similar events): ")
