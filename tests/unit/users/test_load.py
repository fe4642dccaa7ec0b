"""Users at work on the whole stack."""

from __future__ import annotations

import pytest
from data_plane import DataPlane, endpoint_slice, service

from kubesim.errors import UserError
from kubesim.programs.program import Volume
from kubesim.sim.loop import SECOND
from kubesim.users.load import Load, Plan

HOST = "vehicle-api.vehicles"
DATABASE = "10.244.2.5"
APIS = {f"10.244.1.{number}": f"node-{number}" for number in (1, 2, 3)}


def make_stack(plane):
    """Three service Pods and a database, up at second 5."""
    plane.put_service(service("postgres", "None"))
    plane.put_slice(endpoint_slice("postgres", {DATABASE: ("ready", "node-9")}, 5432))
    plane.put_service(service("vehicle-api"))
    plane.put_slice(endpoint_slice("vehicle-api", {ip: ("ready", node) for ip, node in APIS.items()}))
    plane.volume = Volume("data")
    plane.database = start_database(plane)
    plane.wait(2)
    plane.apis = {ip: plane.run("vehicle-api:dev", ip, node) for ip, node in APIS.items()}
    plane.wait(3)
    return plane


def start_database(plane):
    return plane.run("postgres:15", DATABASE, "node-9", volumes={"/var/lib/postgresql/data": plane.volume})


def make_load(plane, **fields):
    return Load(plane.loop, plane.fabric, plane.chooser.stream("users"), Plan(HOST, **fields))


@pytest.fixture
def stack(plane):
    """The stack, running."""
    return make_stack(plane)


def test_a_quiet_run_serves_everything(stack):
    """Ten seconds at 50 a second, a fifth of them writes that all are in the volume."""
    load = make_load(stack)
    load.start()
    stack.wait(9.999)
    load.stop()
    stack.wait(3)

    assert load.report.overall() == (500, 0, 0, 0, 0)
    assert load.ledger.check(stack.volume) == (100, (), 0, 0)
    assert load.report.reasons == {}


def test_a_crashed_database_costs_its_downtime(stack):
    """Requests fail until it is back; acknowledged writes are kept, and the window tells both apart from the rest."""
    load = make_load(stack)
    load.start()
    stack.wait(5)
    fault_ns = stack.loop.now_ns
    load.open_window("database killed")
    stack.database.kill()
    stack.wait(3)
    start_database(stack)
    stack.wait(2)
    load.close_window("database killed")
    stack.wait(5)
    load.stop()
    stack.wait(3)
    counts = load.report.count(*load.windows["database killed"])

    assert load.report.overall().failed == counts.failed
    assert 180 <= counts.failed <= 190
    assert load.report.reasons == {"503": counts.failed}
    assert 3.6 * SECOND < load.report.recovery_ns(fault_ns, stack.loop.now_ns) < 3.8 * SECOND
    assert load.ledger.check(stack.volume).lost == ()


def test_data_without_a_volume_is_reported_lost(stack):
    """The ledger names the writes that were acknowledged and are not there."""
    load = make_load(stack, write_percent=100)
    load.start()
    stack.wait(0.99)
    load.stop()
    stack.wait(1)

    assert len(load.ledger.check(Volume("empty")).lost) == 50
    assert load.ledger.check(None).kept == 0


def test_a_killed_pod_is_refused_until_the_endpoints_follow(stack):
    """A third of the requests meets the dead Pod; afterwards all are served by the other two."""
    load = make_load(stack, write_percent=0)
    load.start()
    stack.wait(2)
    fault_ns = stack.loop.now_ns
    stack.apis["10.244.1.1"].kill()
    stack.wait(3)
    left = {ip: ("ready", node) for ip, node in APIS.items() if ip != "10.244.1.1"}
    stack.put_slice(endpoint_slice("vehicle-api", left))
    stack.wait(4)
    load.stop()
    stack.wait(3)
    counts = load.report.count(fault_ns, fault_ns + 3 * SECOND)

    assert 30 <= counts.refused <= 70
    assert load.report.count(fault_ns + 4 * SECOND, stack.loop.now_ns).refused == 0


def test_no_endpoints_and_no_service_are_refusals(stack):
    """Nobody was reached."""
    stack.put_slice(endpoint_slice("vehicle-api", {}))
    stack.wait(2)
    load = make_load(stack)
    nowhere = Load(stack.loop, stack.fabric, stack.chooser.stream("lost"), Plan("nobody.vehicles"), 1)
    for one in (load, nowhere):
        one.start()
    stack.wait(0.99)

    assert (load.report.overall().refused, load.report.reasons) == (50, {"unreachable": 50})
    assert (nowhere.report.overall().refused, nowhere.report.reasons) == (50, {"unresolved": 50})


def test_a_server_of_another_protocol_serves_nobody(stack):
    """What a database says that is still starting is no HTTP."""
    lost = Load(stack.loop, stack.fabric, stack.chooser.stream("lost"), Plan("postgres.vehicles", port=5432), 1)
    stack.database.kill()
    start_database(stack)
    lost.start()
    stack.wait(4)

    assert lost.report.reasons["malformed"] > 0
    assert lost.report.overall().served == 0


def test_a_lost_node_fails_by_timeout_and_doubts_its_writes(stack):
    """A request to a black hole is given up after two seconds; whether its write was done is unknown."""
    load = make_load(stack, write_percent=100)
    load.start()
    stack.wait(1)
    stack.fabric.lose_node("node-1")
    stack.wait(1)
    load.stop()
    stack.wait(5)
    counts = load.report.overall()
    audit = load.ledger.check(stack.volume)

    assert counts.failed == load.report.reasons["timeout"] == audit.unknown > 5
    assert audit.lost == ()


def test_slow_answers_are_served_and_counted_as_slow(stack):
    """A version that takes 1.5 s longer is over the threshold of 0.5 s."""
    for ip, api in stack.apis.items():
        api.kill()
        stack.run("vehicle-api:2-slow", ip, APIS[ip])
    stack.wait(3)
    load = make_load(stack)
    load.start()
    stack.wait(0.99)
    load.stop()
    stack.wait(3)

    assert load.report.overall()[:2] == (50, 50)
    assert load.report.overall().availability == 1.0


def test_random_gaps_keep_the_rate(stack):
    """Exponential gaps with the same mean."""
    load = make_load(stack, is_random=True, rate_per_second=100)
    load.start()
    stack.wait(20)

    assert 1800 < len(load.report) < 2200


def test_the_same_seed_has_the_same_history():
    """Two runs agree request by request; another seed does not."""
    histories = []
    for seed in (1, 1, 2):
        plane = make_stack(DataPlane(seed))
        load = make_load(plane, is_random=True)
        load.start()
        plane.wait(3)
        plane.database.kill()
        plane.wait(3)
        histories.append((bytes(load.report._outcomes), load.report._sent_ns.tobytes(), plane.loop.steps))

    assert histories[0] == histories[1] != histories[2]


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"rate_per_second": 0}, "load: the rate must be above 0 and at most 1000000 a second, not 0"),
        ({"write_percent": 101}, "load: write_percent must be from 0 to 100, not 101"),
    ],
)
def test_mistakes(plane, fields, text):
    """A plan out of range is the user's mistake."""
    with pytest.raises(UserError) as caught:
        make_load(plane, **fields)

    assert str(caught.value) == text
