"""Virtual time over HTTP and in Python: it stands, steps, and runs until nothing happens any more."""

from __future__ import annotations

import threading
import time

import pytest
from http_asking import Asking

from kubesim.http.pace import Pace
from kubesim.http.served import ServedCluster
from kubesim.sim.loop import SECOND, Loop

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "nginx"}]},
}
TIME = "/kubesim/v1/time"


@pytest.fixture
def paused():
    """A cluster whose time stands still."""
    with ServedCluster(nodes=2, insecure_http=True) as served:
        served.pause()
        yield served


def test_in_a_pause_time_stands_and_requests_are_answered(paused):
    """A Pod that is made in a pause stays Pending however often one asks; a step lets it run."""
    ask = Asking(paused)
    ask("POST", "/api/v1/namespaces/default/pods", POD)
    before = paused.call(lambda cluster: cluster.now_ns)

    phases = [ask("GET", "/api/v1/namespaces/default/pods/p").json["status"]["phase"] for _ in range(3)]
    after = paused.call(lambda cluster: cluster.now_ns)
    paused.step(10)
    phases.append(ask("GET", "/api/v1/namespaces/default/pods/p").json["status"]["phase"])

    assert phases == ["Pending", "Pending", "Pending", "Running"]
    assert before == after
    assert paused.call(lambda cluster: cluster.now_ns) == after + 10 * SECOND


def test_time_is_asked_and_set_over_http(paused):
    """The same is there for clients of any language."""
    ask = Asking(paused)

    states = [ask("GET", TIME).json, ask("POST", f"{TIME}/step", {"seconds": 5}).json]
    states += [ask("POST", TIME, {"speed": 60}).json, ask("POST", TIME, {"paused": True}).json]

    assert [state["paused"] for state in states] == [True, True, False, True]
    assert [state["speed"] for state in states] == ["max", "max", 60, 60]
    assert states[1]["passedSeconds"] == 5


def test_it_runs_until_it_is_quiet(paused):
    """A lost node is noticed after 50 seconds and its Pod evicted after 300 more; then only hearts beat."""
    paused.call(lambda cluster: cluster.create(POD))
    paused.step(10)
    paused.call(lambda cluster: cluster.data_plane.lose_power(cluster.get("pod/p")["spec"]["nodeName"]))

    passed = Asking(paused)("POST", f"{TIME}/run-until-quiet").json
    pod = paused.call(lambda cluster: cluster.get("pod/p"))

    assert passed["quiet"]
    assert 350 <= passed["passedSeconds"] < 3600
    assert "deletionTimestamp" in pod["metadata"]


@pytest.mark.parametrize("speed", [0.5, 1, 60])
def test_time_passes_at_its_speed(speed):
    """As many virtual seconds a second of the wall's as were asked for."""
    loop = Loop()
    pace = Pace(loop, lambda: 0)
    early_ns = time.monotonic_ns()
    pace.set_speed(speed)
    late_ns = time.monotonic_ns()
    while time.monotonic_ns() < late_ns + 1_000_000:
        pass

    least_ns = speed * (time.monotonic_ns() - late_ns)
    pace.catch_up()
    most_ns = speed * (time.monotonic_ns() - early_ns)

    assert least_ns - 1 <= loop.now_ns <= most_ns + 1


def test_time_goes_on_after_a_failure(paused, caplog):
    """What fails in the simulation is logged, and what is due after it still happens by itself."""
    happened = threading.Event()

    def fail(_):
        raise ValueError("of the test's")

    def post(cluster):
        cluster.loop.post(1, fail, None)
        cluster.loop.post(2, lambda _: happened.set(), None)

    paused.call(post)
    paused.set_speed(1)

    assert happened.wait(20)
    assert "of the test's" in caplog.text


def test_speed_and_quiet_in_python(paused):
    """A test in Python has the same: at a speed time goes on, and quiet is when only hearts beat."""
    paused.call(lambda cluster: cluster.create(POD))

    passed = paused.run_until_quiet()
    before = paused.call(lambda cluster: cluster.now_ns)
    paused.set_speed(1_000_000)
    later = paused.call(lambda cluster: cluster.now_ns)

    assert 700 <= passed < 3600
    assert paused.call(lambda cluster: cluster.get("pod/p")["status"]["phase"]) == "Running"
    assert later > before


@pytest.mark.parametrize(
    "path, body",
    [
        (TIME, {"speed": 0}),
        (TIME, {"speed": "fast"}),
        (TIME, {}),
        (TIME, {"paused": 1}),
        (TIME, []),
        (f"{TIME}/step", {}),
        (f"{TIME}/step", {"seconds": -1}),
        (f"{TIME}/step", {"seconds": "1"}),
    ],
)
def test_wishes_that_make_no_sense_are_refused(paused, path, body):
    """What is no time or speed is a 400 with a Status."""
    answer = Asking(paused)("POST", path, body)

    assert (answer.code, answer.json["reason"]) == (400, "BadRequest")
