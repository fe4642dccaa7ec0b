"""Writes to a Pod's ephemeral containers. Expected values: upstream's source, v1.36.3."""

from __future__ import annotations

import pytest

POD = "/api/v1/namespaces/default/pods/p"
DEBUG = {"name": "d", "image": "busybox"}
MIRROR = {"annotations": {"kubernetes.io/config.mirror": "x"}}
FORBIDDEN = 'Pod "p" is invalid: {}: Forbidden: {}'


def patched(world, part, spec):
    """Code, and the answer or its message, of a strategic patch."""
    code, answer = world.ask("PATCH", f"{POD}/{part}", {"spec": spec}, "strategic-merge-patch")
    return code, answer if code == 200 else answer["message"]


def test_an_ephemeral_container_is_added(world):
    """With its defaults; the generation moves, and nothing else is taken."""
    before = world.pod()

    code, after = world.ask(
        "PATCH",
        f"{POD}/ephemeralcontainers",
        {
            "metadata": {"labels": {"new": "label"}},
            "spec": {"activeDeadlineSeconds": 5, "ephemeralContainers": [{**DEBUG, "targetContainerName": "c"}]},
        },
        "strategic-merge-patch",
    )

    assert code == 200
    spec = dict(after["spec"])
    assert spec.pop("ephemeralContainers") == [
        {
            **DEBUG,
            "targetContainerName": "c",
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "Always",
        }
    ]
    assert spec == before["spec"]
    assert (after["metadata"]["generation"], "labels" in after["metadata"]) == (2, False)
    assert world.ask("GET", f"{POD}/ephemeralcontainers")[1]["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("containers", "path", "why"),
    [
        (
            [{**DEBUG, "image": "other"}],
            "spec.ephemeralContainers",
            'existing ephemeral containers "d" may not be changed',
        ),
        ([], "spec.ephemeralContainers", 'existing ephemeral containers "d" may not be removed\n'),
        (
            [DEBUG, {"name": "e", "image": "i", "ports": [{"containerPort": 80}]}],
            "spec.ephemeralContainers[1].ports",
            "cannot be set for an Ephemeral Container",
        ),
    ],
    ids=["changed", "removed", "with ports"],
)
def test_what_there_is_stays(world, containers, path, why):
    """Ephemeral containers are only ever added, and have no ports."""
    world.pod()
    patched(world, "ephemeralcontainers", {"ephemeralContainers": [DEBUG]})
    pod = world.ask("GET", POD)[1]

    sent = {**pod, "spec": {**pod["spec"], "ephemeralContainers": containers}}
    code, answer = world.ask("PUT", f"{POD}/ephemeralcontainers", sent)

    assert code == 422
    assert answer["message"].startswith(FORBIDDEN.format(path, why))


@pytest.mark.parametrize(
    ("container", "path", "why"),
    [
        ({**DEBUG, "targetContainerName": "x"}, "spec.ephemeralContainers[0].targetContainerName", 'Not found: "x"'),
        ({**DEBUG, "name": "c"}, "spec.ephemeralContainers[0].name", 'Duplicate value: "c"'),
        ({"name": "d"}, "spec.ephemeralContainers[0].image", "Required value"),
    ],
    ids=["no such target", "a name that is taken", "no image"],
)
def test_a_new_one_is_checked(world, container, path, why):
    """As any container, and against the others."""
    world.pod()

    found = patched(world, "ephemeralcontainers", {"ephemeralContainers": [container]})

    assert found == (422, f'Pod "p" is invalid: {path}: {why}')


def test_static_pods_have_none(world):
    """Their file says what they are."""
    world.pod(metadata=MIRROR, node="n")

    found = patched(world, "ephemeralcontainers", {"ephemeralContainers": [DEBUG]})

    assert found == (422, 'Pod "p" is invalid: : Forbidden: static pods do not support ephemeral containers')
