"""Faults over HTTP and in Python: what there is, one that begins now, which are on, and their ends."""

from __future__ import annotations

import pytest
from http_asking import Asking

from kubesim.errors import UserError
from kubesim.faults import FAULTS
from kubesim.http.served import ServedCluster

FAULTS_PATH = "/kubesim/v1/faults"


@pytest.fixture
def served():
    """Two nodes that run the stack, in a pause."""
    with ServedCluster(nodes=2, insecure_http=True) as cluster:
        cluster.pause()
        cluster.call(lambda each: each.apply("specs/stack.yaml"))
        cluster.step(60)
        yield cluster


@pytest.fixture
def ask(served):
    """Send a request."""
    return Asking(served)


def is_ready(ask, node):
    """The status of a node's condition Ready."""
    conditions = ask("GET", f"/api/v1/nodes/{node}").json["status"]["conditions"]
    return next(each["status"] for each in conditions if each["type"] == "Ready")


def test_the_catalogue_has_every_fault(ask):
    """With its argument's fields, their defaults, and what ends it."""
    listed = {each["name"]: each for each in ask("GET", f"{FAULTS_PATH}/catalogue").json["faults"]}

    assert list(listed) == list(FAULTS)
    assert listed["slowLink"]["argument"] == {
        "end": None,
        "peer": None,
        "added": "200ms",
        "loss": 0.0,
        "oneWay": False,
    }
    assert (listed["losePower"]["endedBy"], "endedBy" in listed["crash"]) == ("restorePower", False)


def test_a_fault_lasts_as_long_as_it_is_wished(served, ask):
    """A node that loses power for 90 s is not Ready after 60 s, and Ready again after three minutes."""
    begun = ask("POST", FAULTS_PATH, {"losePower": {"node": "node-1"}, "for": "90s"})
    on = ask("GET", FAULTS_PATH).json["faults"]
    served.step(60)
    meanwhile = is_ready(ask, "node-1")
    served.step(120)

    assert (begun.code, on) == (201, [begun.json])
    assert (begun.json["fault"], begun.json["subject"], begun.json["id"]) == ("losePower", "node/node-1", 1)
    assert (meanwhile, is_ready(ask, "node-1")) == ("Unknown", "True")
    assert ask("GET", FAULTS_PATH).json == {"faults": []}


def test_a_fault_lasts_until_it_is_healed(ask):
    """By its number, or with all others."""
    ask("POST", FAULTS_PATH, {"cordon": "node-1"})
    ask("POST", FAULTS_PATH, {"stopDns": None})
    ask("POST", FAULTS_PATH, {"stopRegistry": {}})

    first = ask("DELETE", f"{FAULTS_PATH}/1")
    again = ask("DELETE", f"{FAULTS_PATH}/1")
    rest = ask("DELETE", FAULTS_PATH)

    assert [each["fault"] for each in first.json["ended"]] == ["cordon"]
    assert (again.code, again.json["message"]) == (404, "no fault 1 is on")
    assert [each["id"] for each in rest.json["ended"]] == [2, 3]
    assert "unschedulable" not in ask("GET", "/api/v1/nodes/node-1").json["spec"]


def test_a_twin_ends_it_too(ask):
    """`uncordon` without a node means the one that was cordoned last."""
    ask("POST", FAULTS_PATH, {"cordon": {"node": "node-2"}})

    ended = ask("POST", FAULTS_PATH, {"uncordon": {}})

    assert (ended.code, ended.json["subject"], "id" in ended.json) == (201, "node/node-2", False)
    assert ask("GET", FAULTS_PATH).json == {"faults": []}


def test_what_happens_in_an_instant_is_not_on(served, ask):
    """A crashed container is mended by its kubelet."""
    done = ask("POST", FAULTS_PATH, {"crash": "vehicles/pod/postgres-0"})
    served.step(30)

    status = ask("GET", "/api/v1/namespaces/vehicles/pods/postgres-0").json["status"]["containerStatuses"][0]
    assert (done.json["subject"], status["restartCount"]) == ("pod/vehicles/postgres-0", 1)
    assert ask("GET", FAULTS_PATH).json == {"faults": []}


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({}, 400, "has no fault"),
        ({"loosePower": {}}, 400, 'unknown fault "loosePower"; did you mean "losePower"?'),
        ({"crash": {"of": "pod/a", "exit": 3}}, 400, '"crash" has no field "exit"'),
        ({"crash": "pod/a", "for": "9s"}, 400, "crash happens in an instant; leave out for"),
        ({"losePower": "node-1", "for": 90}, 400, '"for" must be a time, not 90; write it as in 30s, 5m or 250ms'),
        ({"losePower": "node-1", "at": "9s"}, 400, "at: a fault begins at once here; put it into a scenario file"),
        ({"stopDns": {}, "stopRegistry": {}}, 400, "has 2 faults (stopDns, stopRegistry)"),
        ({"slowApiServer": {"by": "htttp"}}, 400, 'there is no component "htttp"; did you mean "http"?'),
        ({"losePower": "node-9"}, 409, "node-9"),
        ({"overloadApiServer": {"by": "http", "level": "system"}}, 409, "leave out level: system, or by: http"),
        ({"crash": "pod/none"}, 409, "pod/none"),
        ({"restorePower": {}}, 409, "no losePower of it is on"),
        ([], 400, "the body is no JSON object"),
    ],
)
def test_a_mistake_is_said(ask, body, code, said):
    """400 for what makes no sense, 409 for what cannot be done now."""
    answer = ask("POST", FAULTS_PATH, body)

    assert answer.code == code
    assert said in answer.json["message"]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("PUT", FAULTS_PATH, 405),
        ("POST", f"{FAULTS_PATH}/1", 405),
        ("DELETE", f"{FAULTS_PATH}/x", 404),
        ("GET", f"{FAULTS_PATH}/1", 405),
        ("GET", "/kubesim/v1/nothing", 404),
    ],
)
def test_other_paths_and_methods_are_refused(ask, method, path, code):
    """As Kubernetes refuses its own."""
    assert ask(method, path, {}).code == code


def test_a_test_does_it_in_python(served):
    """`inject`, `faults` and `heal` are the same without HTTP."""
    done = served.inject("losePower", {"node": "node-1"}, seconds=90)
    served.inject("stopDns")
    on = [each["fault"] for each in served.faults()]
    served.heal(done["id"])
    left = [each["fault"] for each in served.faults()]
    served.heal()

    assert (on, left, served.faults()) == (["losePower", "stopDns"], ["stopDns"], [])
    with pytest.raises(UserError, match="did you mean"):
        served.inject("stopDNS")
