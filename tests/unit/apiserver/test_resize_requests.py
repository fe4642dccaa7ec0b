"""Writes to `pods/resize`. Expected texts: a real cluster of v1.36.3, and upstream's source where it is named."""

from __future__ import annotations

import pytest

POD = "/api/v1/namespaces/default/pods/p"
ASKS = {"requests": {"cpu": "1", "memory": "64Mi"}}
MAIN = {"name": "c", "image": "i", "resources": ASKS}
RESTARTS = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
REQUESTS = "spec.containers[0].resources.requests"
TOO_LITTLE = "must be greater than or equal to aggregate container requests of"
SCARCE = "node didn't have enough allocatable resources"
ALL_MEMORY = "allocatable: 25171644416"
OF_INIT = "only cpu and memory resources for init or sidecar containers are mutable"
ONLY = "only cpu and memory resources are mutable"
QOS = 'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing'


def spec(*containers, **more):
    """A Pod's spec."""
    return {"containers": list(containers or (MAIN,)), **more}


def resized(world, change, patch="strategic-merge-patch"):
    """Code, and the answer or its message."""
    code, answer = world.ask("PATCH", f"{POD}/resize", change, patch)
    return code, answer if code == 200 else answer["message"]


def resources(**amounts):
    """A strategic patch of the container's resources."""
    return {"spec": {"containers": [{"name": "c", "resources": amounts}]}}


def removal(path):
    """A JSON patch."""
    return [{"op": "remove", "path": f"/spec/{path}"}]


def test_resources_change_and_nothing_else(world):
    """The generation moves; labels and all other fields that were sent are left out, without a word."""
    before = world.pod(spec=spec())
    change = resources(requests={"cpu": "2"})
    change["metadata"] = {"labels": {"new": "label"}}
    change["spec"]["containers"][0]["image"] = "other"
    change["spec"]["activeDeadlineSeconds"] = 5

    code, after = resized(world, change)

    assert code == 200
    changed = {**before["spec"]["containers"][0], "resources": {"requests": {"cpu": "2", "memory": "64Mi"}}}
    assert after["spec"] == {**before["spec"], "containers": [changed]}
    assert (after["metadata"]["generation"], "labels" in after["metadata"]) == (2, False)
    assert world.ask("GET", f"{POD}/resize")[1] == after


def test_the_pod_can_be_replaced(world):
    """As `kubectl replace --subresource resize` does; what is the same moves no generation."""
    world.pod(spec=spec())
    sent = world.ask("GET", POD)[1]
    assert world.ask("PUT", f"{POD}/resize", sent)[1]["metadata"]["generation"] == 1

    sent = {**sent, "spec": spec({**MAIN, "resources": {"requests": {"cpu": "3", "memory": "1Gi"}}})}
    code, after = world.ask("PUT", f"{POD}/resize", sent)

    assert (code, after["metadata"]["generation"]) == (200, 2)
    assert after["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "3", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("sent", "patch", "says"),
    [
        (
            resources(limits={"cpu": "1900m"}, requests={"cpu": "3"}),
            "strategic-merge-patch",
            f'{REQUESTS}: Invalid value: "3": must be less than or equal to cpu limit of 1900m',
        ),
        (
            {"spec": {"containers": [{"name": "c", "resizePolicy": RESTARTS}]}},
            "strategic-merge-patch",
            f"spec: Forbidden: {ONLY}",
        ),
        (
            {"spec": {"containers": [{"name": "other", "image": "i"}]}},
            "strategic-merge-patch",
            "spec.containers: Forbidden: containers may not be added or removed on resize",
        ),
        (
            {"spec": {"containers": [{**MAIN, "name": "other"}]}},
            "merge-patch",
            "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize",
        ),
        (
            resources(requests={"ephemeral-storage": "1Gi"}),
            "strategic-merge-patch",
            f"spec: Forbidden: {ONLY}",
        ),
        (
            removal("containers/0/resources/requests/memory"),
            "json-patch",
            f"{REQUESTS}: Forbidden: resource requests cannot be removed",
        ),
        (
            removal("containers/0/resources/requests"),
            "json-patch",
            f"[{QOS}, {REQUESTS}: Forbidden: resource requests cannot be removed]",
        ),
        (resources(limits={"cpu": "1", "memory": "64Mi"}), "strategic-merge-patch", QOS),
        (
            {"spec": {"resources": {"requests": {"cpu": "500m", "memory": "64Mi"}}}},
            "strategic-merge-patch",
            f'spec.resources.requests[cpu]: Invalid value: "500m": {TOO_LITTLE} 1',
        ),
    ],
    ids=[
        "more than the limit",
        "resizePolicy",
        "another container",
        "another name",
        "another resource",
        "a request removed",
        "all requests removed",
        "another class",
        "the Pod less than its containers",
    ],
)
def test_what_is_refused(world, sent, patch, says):
    """Each rule in the words of the real cluster."""
    world.pod(spec=spec())

    assert resized(world, sent, patch) == (422, f'Pod "p" is invalid: {says}')
    assert world.ask("GET", POD)[1]["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("init", "sent", "says"),
    [
        ({}, {"resources": {"requests": {"cpu": "2"}}}, ""),
        (
            {"restartPolicy": "Always", "resizePolicy": RESTARTS},
            {"resizePolicy": []},
            f"spec.initContainers[0]: Forbidden: {OF_INIT}",
        ),
    ],
    ids=["an init container", "the policy of a sidecar"],
)
def test_init_containers(world, init, sent, says):
    """They can be resized as well, and no more than that."""
    world.pod(spec=spec(MAIN, initContainers=[{**MAIN, "name": "first", **init}]))

    code, found = resized(world, {"spec": {"initContainers": [{"name": "first", **sent}]}})

    assert code == (422 if says else 200)
    assert found == f'Pod "p" is invalid: {says}' if says else found["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ([{"op": "replace", "path": "/spec/resources/requests/cpu", "value": "3"}], ""),
        (removal("resources/limits"), "spec.resources.limits: Forbidden: pod-level resource limits cannot be removed"),
        (removal("resources"), f"[{QOS}, spec.resources: Forbidden: pod-level resources cannot be removed]"),
        (
            [
                {"op": "add", "path": "/spec/resources/requests/hugepages-2Mi", "value": "2Mi"},
                {"op": "add", "path": "/spec/resources/limits/hugepages-2Mi", "value": "2Mi"},
            ],
            f"spec: Forbidden: {ONLY} at pod-level",
        ),
    ],
    ids=["changed", "limits removed", "all removed", "another resource"],
)
def test_resources_of_the_pod_itself(world, sent, says):
    """They follow the rules of a container's."""
    own = {"requests": {"cpu": "2", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
    world.pod(spec=spec({"name": "c", "image": "i"}, resources=own))

    code, found = resized(world, sent, "json-patch")

    assert code == (422 if says else 200)
    assert found == f'Pod "p" is invalid: {says}' if says else found["spec"]["resources"]["requests"]["cpu"] == "3"


@pytest.mark.parametrize(
    ("parts", "status", "says"),
    [
        (
            {"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}, "node": "n"},
            {},
            ": Forbidden: static pods cannot be resized",
        ),
        ({"spec": spec(os={"name": "windows"})}, {}, ": Forbidden: windows pods cannot be resized"),
        (
            {"spec": spec()},
            {"name": "c", "state": {"running": {"startedAt": None}}},
            "spec: Forbidden: Pod running on node without support for resize",
        ),
    ],
    ids=["static", "windows", "a node that says nothing of resources"],
)
def test_pods_that_cannot_be_resized(world, parts, status, says):
    """Upstream: validation.go:ValidatePodResize @v1.36"""
    world.pod(**{"spec": spec(), **parts})
    if status:
        body = {**status, "ready": True, "restartCount": 0, "image": "i", "imageID": ""}
        assert world.ask("PATCH", f"{POD}/status", {"status": {"containerStatuses": [body]}})[0] == 200

    assert resized(world, resources(requests={"cpu": "2"})) == (422, f'Pod "p" is invalid: {says}')


@pytest.mark.parametrize(
    ("node", "requests", "says"),
    [
        ({"allocatable": {"cpu": "2", "memory": "1Gi"}}, {"cpu": "2", "memory": "1Gi"}, ""),
        (
            {"allocatable": {"cpu": "2", "memory": "25171644416"}},
            {"cpu": "3", "memory": "100Gi"},
            f"{SCARCE}: cpu, requested: 3000, allocatable: 2000; memory, requested: 107374182400, {ALL_MEMORY}",
        ),
        ({"os": "windows"}, {"cpu": "2"}, 'pod resize is only supported on linux nodes, node "n" is "windows"'),
        (None, {"cpu": "2"}, 'node "n" not found'),
    ],
    ids=["all there is", "more than there is", "another system", "no node"],
)
def test_what_a_node_can_never_give_is_refused(world, node, requests, says):
    """Whoever else is on it. Upstream: plugin/pkg/admission/podresize/admission.go @v1.36"""
    if node is not None:
        labels = {"kubernetes.io/os": node.get("os", "linux")}
        world.make("Node", "n", "", metadata={"labels": labels}, status={"allocatable": node.get("allocatable", {})})
    world.pod(spec=spec(), node="n")

    code, found = resized(world, resources(requests=requests))

    assert code == (403 if says else 200)
    assert not says or found == f'pods "p" is forbidden: {says}'


def test_the_main_resource_still_refuses(world):
    """Only through the subresource do resources change."""
    world.pod(spec=spec())

    code, answer = world.ask("PATCH", POD, resources(requests={"cpu": "1200m"}), "strategic-merge-patch")

    assert code == 422
    assert answer["message"].startswith('Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other')
    assert '-     "cpu": "1",\n+     "cpu": "1200m",\n' in answer["message"]
