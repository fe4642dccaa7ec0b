"""In-place resize on a node. Expected values: a real cluster of v1.36.3, except where upstream's source is named."""

from __future__ import annotations

import json

import pytest
from worlds import IMAGE, World

from kubesim.api.kinds import POD
from kubesim.api.requests import Options, Request
from kubesim.node.resizing import memory_refusal

MI = 1 << 20
USES = json.dumps({"memory": "60Mi"})
STARTED, COMPLETED = "Pod resize started: ", "Pod resize completed: "


def resize(world, name="web", field="containers", container="main", **amounts):
    """As `kubectl patch --subresource resize` does."""
    own = {"resources": amounts} if field == "spec" else {field: [{"name": container, "resources": amounts}]}
    request = Request("patch", POD, "default", name, "resize", {"spec": own}, Options(patch_type="strategic"))
    return world.call(request)


def conditions(status):
    """Those of a resize: type, reason, message and generation."""
    return [
        (each["type"], each.get("reason", ""), each.get("message", ""), each["observedGeneration"])
        for each in status["conditions"]
        if each["type"].startswith("PodResize")
    ]


def amounts(status, name="main"):
    """What a container was given and what it has, in requests, and its restarts."""
    found = [*status["containerStatuses"], *status.get("initContainerStatuses", ())]
    one = next(each for each in found if each["name"] == name)
    return one["allocatedResources"], one["resources"].get("requests"), one["restartCount"]


def resizes(world, name="web"):
    """The Events about a resize: reason and message."""
    return [(reason, text) for reason, text, _ in world.events(name) if reason.startswith("Resize")]


def summary(generation, *, error="", **containers):
    """What a message of an Event ends with, by containers' resources."""
    listed = [{"name": name, "resources": each} for name, each in containers.items()]
    text = {"containers": listed, "generation": generation}
    return json.dumps({**text, "error": error} if error else text, separators=(",", ":"))


def test_a_resize_in_place(world):
    """It is told twice: when the Pod was given more, and a moment later when its container has it. Nothing restarts."""
    world.pod(resources={"requests": {"cpu": "100m", "memory": "64Mi"}})
    world.run(3)
    before = len(world.writes)

    resize(world, requests={"cpu": "200m"})
    world.run(3)

    (at, _, first), (then, _, second) = [row for row in world.writes[before:] if row[2]["observedGeneration"] == 2]
    given, had = {"cpu": "200m", "memory": "64Mi"}, {"cpu": "100m", "memory": "64Mi"}
    assert (conditions(first), amounts(first)) == ([("PodResizeInProgress", "", "", 2)], (given, had, 0))
    assert (first["allocatedResources"], first["resources"]["requests"]) == (given, had)
    assert (conditions(second), amounts(second)) == ([], (given, given, 0))
    assert second["resources"]["requests"] == given
    assert then - at < 0.1
    text = summary(2, main={"requests": given})
    assert resizes(world) == [("ResizeStarted", STARTED + text), ("ResizeCompleted", COMPLETED + text)]
    assert {each.get("observedGeneration") for each in second["conditions"]} == {2}


def test_a_resize_that_restarts(world):
    """As its policy for memory says; the request of the Pod's memory stays in its status as it was, there as here."""
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    both = {"requests": {"cpu": "200m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    world.pod(resources=both, resizePolicy=policy)
    world.run(3)
    process = world.runtimes["node-1"].process_of(world.uid(), "main")

    resize(world, requests={"memory": "80Mi"}, limits={"memory": "160Mi"})
    world.run(10)

    status = world.status()
    given = {"cpu": "200m", "memory": "80Mi"}
    assert (conditions(status), amounts(status)) == ([], (given, given, 1))
    assert ("Killing", "Container main resize requires restart", 1) in world.events()
    assert [reason for reason, _ in resizes(world)] == ["ResizeStarted", "ResizeCompleted"]
    assert world.runtimes["node-1"].process_of(world.uid(), "main") is not process
    assert status["resources"] == {"requests": {"cpu": "200m", "memory": "64Mi"}, "limits": {"memory": "160Mi"}}
    assert status["allocatedResources"] == given


def test_a_resize_that_has_to_wait(world):
    """It is Deferred with the node's own words, told once a generation, and granted when another Pod takes less."""
    world.pod("other", resources={"requests": {"cpu": "2500m"}})
    world.pod(resources={"requests": {"cpu": "1"}})
    world.run(3)

    resize(world, requests={"cpu": "1900m"})
    world.run(3)
    why = "Node didn't have enough resource: cpu, requested: 1900, used: 2500, capacity: 4000"
    waiting = world.status()
    resize(world, "other", requests={"cpu": "2"})
    world.run(3)
    status = world.status()

    assert conditions(waiting) == [("PodResizePending", "Deferred", why, 2)]
    assert (amounts(waiting), waiting["observedGeneration"]) == (({"cpu": "1"}, {"cpu": "1"}, 0), 2)
    assert (conditions(status), amounts(status)) == ([], ({"cpu": "1900m"}, {"cpu": "1900m"}, 0))
    asked = {"main": {"requests": {"cpu": "1900m"}}}
    assert resizes(world) == [
        ("ResizeDeferred", "Pod resize OutOfcpu: " + summary(2, **asked, error=why)),
        ("ResizeStarted", STARTED + summary(2, **asked)),
        ("ResizeCompleted", COMPLETED + summary(2, **asked)),
    ]


@pytest.mark.parametrize(
    ("frees", "granted", "waiting"),
    [
        (lambda world: world.delete("other"), ["first", "second"], []),
        (lambda world: resize(world, "other", requests={"cpu": "1"}), ["first"], ["second"]),
        (lambda world: resize(world, "first", requests={"cpu": "500m"}), [], ["second"]),
    ],
    ids=["a Pod that goes", "a Pod that takes less", "a resize taken back"],
)
def test_who_waits_is_asked_again_in_turn(world, frees, granted, waiting):
    """The more important first. Upstream: allocation_manager.go:sortPendingResizes @v1.36"""
    world.pod("other", resources={"requests": {"cpu": "2"}}, spec={"terminationGracePeriodSeconds": 0})
    for name, priority in (("second", 0), ("first", 10)):
        pod = world.pod(name, resources={"requests": {"cpu": "500m"}})
        world.store.write("pods", ("default", name), {**pod, "spec": {**pod["spec"], "priority": priority}}, pod)
    world.run(3)
    for name in ("second", "first"):
        resize(world, name, requests={"cpu": "1900m"})
    world.run(3)

    frees(world)
    world.run(10)

    found = {name: world.status(name) for name in ("first", "second")}
    assert [name for name, status in found.items() if amounts(status)[1] == {"cpu": "1900m"}] == granted
    assert [name for name, status in found.items() if conditions(status)] == waiting


def test_memory_in_use_is_not_taken_away():
    """The limit stays, the condition and one Event say why; a limit that will do is given at once."""
    world = World()
    world.pod(
        annotations={"kubesim.dev/program": USES},
        resources={"requests": {"memory": "32Mi"}, "limits": {"memory": "128Mi"}},
    )
    world.run(3)

    resize(world, limits={"memory": "40Mi"})
    world.run(30)
    refused = world.status()
    resize(world, limits={"memory": "100Mi"})
    world.run(3)

    limit, used = 40 * MI, 60 * MI
    why = (
        f"cannot decrease memory limits: [attempting to set pod memory limit ({limit}) below current usage ({used}), "
        f'attempting to set container "main" memory limit ({limit}) below current usage ({used})]'
    )
    assert conditions(refused) == [("PodResizeInProgress", "Error", why, 2)]
    assert refused["containerStatuses"][0]["resources"]["limits"] == {"memory": "128Mi"}
    assert conditions(world.status()) == []
    assert [reason for reason, _ in resizes(world)] == [
        "ResizeStarted",
        "ResizeError",
        "ResizeStarted",
        "ResizeCompleted",
    ]
    assert resizes(world)[1][1].startswith("Pod resize error: {")
    assert world.main()["restartCount"] == 0


OF_POD = "attempting to set pod memory limit ({}) below current usage ({})"
OF_ONE = 'attempting to set container "{}" memory limit ({}) below current usage ({})'


@pytest.mark.parametrize(
    ("limits", "wanted", "used", "problems"),
    [
        ({"a": "200Mi"}, {"a": (100, 200)}, {"a": 90}, []),
        ({"a": "80Mi"}, {"a": (100, 80)}, {"a": 70}, []),
        (
            {"a": "60Mi"},
            {"a": (100, 60)},
            {"a": 60},
            [OF_POD.format(60 * MI, 60 * MI), OF_ONE.format("a", 60 * MI, 60 * MI)],
        ),
        ({"a": "60Mi", "b": None}, {"a": (0, 60)}, {"a": 70, "b": 5}, [OF_ONE.format("a", 60 * MI, 75 * MI)]),
        (
            {"a": "60Mi", "b": "90Mi"},
            {"a": (100, 60), "b": (20, 90)},
            {"a": 70, "b": 5},
            [OF_ONE.format("a", 60 * MI, 75 * MI)],
        ),
        ({"a": "50Mi", "b": "20Mi"}, {"a": (100, 50)}, {"a": 10, "b": 80}, [OF_POD.format(70 * MI, 90 * MI)]),
    ],
    ids=["raised", "lowered above the use", "lowered to the use", "a new limit", "moved to another", "the Pod's alone"],
)
def test_which_memory_limits_can_be_lowered(limits, wanted, used, problems):
    """Upstream: kuberuntime_manager.go:validateMemoryResizeAction @v1.36"""
    containers = [
        {"name": name, "resources": {"limits": {"memory": text}} if text else {}} for name, text in limits.items()
    ]
    found = memory_refusal(
        {"containers": containers},
        {name: (before * MI, after * MI) for name, (before, after) in wanted.items()},
        {name: number * MI for name, number in used.items()},
    )

    prose = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    assert found == (f"cannot decrease memory limits: {prose}" if problems else "")


@pytest.mark.parametrize(
    ("limit", "ends"), [("256Mi", False), ("96Mi", True)], ids=["one with more room", "one with less"]
)
def test_the_new_limit_is_the_one_that_kills(world, limit, ends):
    """A program leaks 4 MiB a second, and would meet the limit of 128Mi that it began with after 27 seconds."""
    leaks = json.dumps({"memory": "20Mi", "memoryPerSecond": "4Mi"})
    world.pod(annotations={"kubesim.dev/program": leaks}, resources={"limits": {"memory": "128Mi"}})
    world.run(3)

    resize(world, requests={"memory": limit}, limits={"memory": limit})
    world.run(20 if ends else 32)

    assert world.main()["restartCount"] == ends


def test_init_containers_and_sidecars(world):
    """One that has ended is given its share without more; a sidecar restarts where its policy says so."""
    cpu = {"resources": {"requests": {"cpu": "10m"}}, "image": IMAGE}
    policy = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
    first = {"name": "first", "command": ["true"], **cpu}
    side = {"name": "side", "restartPolicy": "Always", "resizePolicy": policy, **cpu}
    world.pod(spec={"initContainers": [first, side]}, resources={"requests": {"cpu": "10m"}})
    world.run(5)

    resize(world, field="initContainers", container="first", requests={"cpu": "11m"})
    world.run(3)
    resize(world, field="initContainers", container="side", requests={"cpu": "12m"})
    world.run(10)

    status = world.status()
    assert amounts(status, "first") == ({"cpu": "11m"}, {"cpu": "11m"}, 0)
    assert amounts(status, "side") == ({"cpu": "12m"}, {"cpu": "12m"}, 1)
    assert amounts(status)[2] == 0
    assert ("Killing", "Container side resize requires restart", 1) in world.events()
    assert [reason for reason, _ in resizes(world)] == ["ResizeStarted", "ResizeCompleted"] * 2


def test_an_init_container_that_runs_is_resized(world):
    """It holds back the others meanwhile. Upstream: kuberuntime_container.go:computeInitContainerActions @v1.36"""
    first = {"name": "first", "image": IMAGE, "command": ["sleep", "20"], "resources": {"requests": {"cpu": "10m"}}}
    world.pod(spec={"initContainers": [first]})
    world.run(3)

    resize(world, field="initContainers", container="first", requests={"cpu": "11m"})
    world.run(3)

    assert amounts(world.status(), "first") == ({"cpu": "11m"}, {"cpu": "11m"}, 0)
    assert (world.status()["phase"], conditions(world.status())) == ("Pending", [])


def test_resources_of_the_pod_itself(world):
    """Its containers without a limit have the Pod's; their own status says nothing of it."""
    own = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
    world.pod(spec={"resources": own})
    world.run(3)

    resize(world, field="spec", requests={"cpu": "30m", "memory": "40Mi"}, limits={"memory": "96Mi"})
    world.run(3)

    status = world.status()
    assert status["resources"] == {"limits": {"memory": "96Mi"}, "requests": {"cpu": "30m", "memory": "32Mi"}}
    assert status["allocatedResources"] == {"cpu": "30m", "memory": "40Mi"}
    assert (status["containerStatuses"][0]["resources"], conditions(status)) == ({}, [])
    assert resizes(world)[0] == ("ResizeStarted", STARTED + summary(2, main={}))


@pytest.mark.parametrize("is_granted", [True, False], ids=["room", "no room"])
def test_a_kubelet_that_comes_back_knows_what_it_gave(world, is_granted):
    """A resize from while it was away is granted or waits; the containers run on with what they had."""
    world.pod("other", resources={"requests": {"cpu": "1" if is_granted else "3"}})
    world.pod(resources={"requests": {"cpu": "500m"}})
    world.run(3)
    world.kubelets["node-1"].stop()
    resize(world, requests={"cpu": "2"})
    world.run(3)

    world.kubelets["node-1"].start()
    world.run(10)

    status = world.status()
    given = {"cpu": "2"} if is_granted else {"cpu": "500m"}
    assert amounts(status) == (given, given, 0)
    assert [each[:2] for each in conditions(status)] == ([] if is_granted else [("PodResizePending", "Deferred")])
    assert world.status("other")["phase"] == "Running"
