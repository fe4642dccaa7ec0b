"""The two halves of a comparison: same users, same instants, what Compose has nothing for, and the person behind it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from kubesim.cluster import ClusterOptions
from kubesim.comparison.acting import ComposeActor
from kubesim.comparison.run import Given, compare
from kubesim.comparison.story import plan_comparison
from kubesim.compose.file import read_project
from kubesim.compose.host import ComposeHost
from kubesim.errors import UserError
from kubesim.faults.arguments import PodTarget
from kubesim.manifests import load
from kubesim.scenario.file import read_scenario
from kubesim.scenario.model import Users
from kubesim.scenario.story import find_parts

SPECS = Path(__file__).parents[3] / "specs"
MINUTE = 60_000_000_000


def project_with(**changes):
    """The reference stack's Compose file with fields of its services changed; a dash is an underscore."""
    project = read_project(SPECS / "compose.yaml", {})
    for name, fields in changes.items():
        service = project.services[name.replace("_", "-")]
        project = project.with_service(msgspec.structs.replace(service, **fields))
    return project


def compared(tmp_path, steps, project=None, operator_after=2 * MINUTE):
    """A comparison of the reference stack through some steps of a scenario file."""
    path = tmp_path / "scenario.yaml"
    path.write_text(f"name: x\npromise: x\nsteps:\n{steps}")
    file = read_scenario(path)
    users = Users(service="vehicle-api", rate_per_second=4, write_percent=25)
    scenario = msgspec.structs.replace(file.scenario, load=users)
    manifests = load(SPECS / "stack.yaml")
    given = Given(manifests, project or project_with(), scenario, ClusterOptions(), Path, operator_after, ())
    return compare(given)


def step(action, lasts="4m", title="it happens"):
    """One step of a file."""
    return f"  - step: {title}\n    {action}\n    for: {lasts}\n"


@pytest.mark.parametrize(
    "steps, by_hand, is_served",
    [
        (step("crash: deployment/vehicle-api"), (), True),
        (step("crash: {of: statefulset/postgres, exitCode: 137}"), (), True),
        (step("oom: deployment/vehicle-api"), (), True),
        (step("hang: deployment/vehicle-api"), ("docker restart vehicles-vehicle-api-1",), True),
        (step("hang: deployment/vehicle-api", "1m") + step("wake: deployment/vehicle-api", "1m"), (), True),
        (
            step("delete: {of: deployment/vehicle-api, pod: true}"),
            ("docker compose up -d, for vehicle-api",),
            True,
        ),
        (step("delete: {of: pod/postgres-0}"), ("docker compose up -d, for postgres",), True),
        (
            step("losePower: {runs: statefulset/postgres}", "1m") + step("restorePower: {}", "3m"),
            (),
            True,
        ),
        (
            step("losePower: {runs: deployment/vehicle-api}"),
            (
                "another machine with empty volumes, then docker compose up -d; older data is in a backup, if there is one",
            ),
            True,
        ),
        (step("setImage: {of: deployment/vehicle-api, image: 'vehicle-api:2'}"), (), True),
        (
            step("setImage: {of: deployment/vehicle-api, image: 'vehicle-api:2-crash'}"),
            ("the earlier image of vehicle-api in the file, then docker compose up -d",),
            True,
        ),
        (
            step("setImage: {of: deployment/vehicle-api, image: 'vehicle-api:2-crash'}", "1m")
            + step("undoRollout: deployment/vehicle-api", "1m"),
            ("the earlier image in the file, then docker compose up -d",),
            True,
        ),
        (step("scale: {of: deployment/vehicle-api, replicas: 2}"), (), False),
        (
            step("scale: {of: deployment/vehicle-api, replicas: 5}"),
            ("more ports for vehicle-api in the file, then docker compose up -d, which replaces all",),
            True,
        ),
        (step("restartRollout: deployment/vehicle-api"), (), True),
        (step("isolate: {runs: statefulset/postgres}", "1m") + step("rejoin: {}", "2m"), (), True),
    ],
)
def test_what_a_person_has_to_do(tmp_path, steps, by_hand, is_served):
    """And whether all users are served in the end. Where one port's container is gone, its users never are."""
    [row] = compared(tmp_path, steps).rows

    assert tuple(deed.text for deed in row.compose.by_hand) == by_hand
    assert (row.compose.recovery_ns is not None) == is_served


@pytest.mark.parametrize(
    "action, why",
    [
        ("drain: {runs: deployment/vehicle-api, runsNot: statefulset/postgres}", "there is no other host to drain to"),
        ("cordon: {runs: deployment/vehicle-api}", "there is no scheduler to keep away"),
        ("stopKubelet: {runs: deployment/vehicle-api}", "there is no kubelet"),
        ("evict: deployment/vehicle-api", "nothing is evicted: nothing moves between hosts"),
        ("delete: service/postgres", "a deletion of service/postgres has no counterpart"),
    ],
)
def test_what_compose_has_nothing_for(tmp_path, action, why):
    """The report says so, and nothing is done."""
    [row] = compared(tmp_path, step(action, "1m")).rows

    assert row.compose.without == why
    assert row.compose.unserved == 0


def test_a_policy_of_no_leaves_a_crash_to_a_person(tmp_path):
    """Which is what happens by default."""
    project = project_with(
        vehicle_api={
            "restart": read_project(SPECS / "compose.yaml", {}).services["postgres"].restart._replace(name="no")
        }
    )
    [row] = compared(tmp_path, step("crash: deployment/vehicle-api"), project).rows

    assert [(deed.text, deed.after_ns) for deed in row.compose.by_hand] == [
        ("docker compose up -d, for vehicle-api", 2 * MINUTE)
    ]


def test_who_is_woken_is_who_was_meant():
    """Not just the first one that hangs."""
    host = ComposeHost(project_with())
    host.up()
    actor = ComposeActor(host)
    api, database = PodTarget(of="deployment/vehicle-api"), PodTarget(of="statefulset/postgres")
    for target in (database, api):
        actor.act("hang", target)

    assert [actor.act("wake", target) for target in (api, None)] == ["vehicles-vehicle-api-1", "vehicles-postgres-1"]


def test_a_container_with_a_name_of_its_own_is_mended_as_well(tmp_path):
    """What it is called says nothing of its service."""
    project = project_with(postgres={"container_name": "db"})
    [row] = compared(tmp_path, step("delete: {of: pod/postgres-0}"), project).rows

    assert [deed.text for deed in row.compose.by_hand] == ["docker compose up -d, for postgres"]


def test_a_scenario_without_steps_is_refused(tmp_path):
    """There is nothing to compare."""
    with pytest.raises(UserError, match="the scenario has no steps"):
        compared(tmp_path, "  []\n")


def test_a_machine_that_is_lost_takes_all_that_was_written(tmp_path):
    """In the cluster the volume was elsewhere."""
    [row] = compared(
        tmp_path, step("losePower: {runs: deployment/vehicle-api, runsNot: statefulset/postgres}", "8m")
    ).rows

    assert (row.kubernetes.lost_writes, row.kubernetes.by_hand) == (0, ())
    assert row.kubernetes.recovery_ns < MINUTE
    assert row.compose.lost_writes == 0
    before = step("crash: deployment/vehicle-api", "1m", "before")
    both = compared(
        tmp_path, before + step("losePower: {runs: deployment/vehicle-api, runsNot: statefulset/postgres}", "8m")
    )
    assert both.rows[1].compose.lost_writes == both.compose.lost_writes > 50


def test_faults_come_at_the_same_instants(tmp_path):
    """Counted from the first request: each side has had as many requests by then."""
    found = compared(
        tmp_path, step("crash: deployment/vehicle-api", "37s") + step("oom: deployment/vehicle-api", "41s")
    )

    for row in found.rows:
        assert row.kubernetes.counts.total == row.compose.counts.total
    assert [row.start_ns for row in found.rows] == [0, 37_000_000_000]


def test_each_fault_is_mended_in_its_own_time(tmp_path):
    """A person who comes for the first one leaves the second one for later."""
    steps = step("delete: {of: deployment/vehicle-api, pod: true}", "90s") + step("hang: deployment/vehicle-api", "5m")
    first, second = compared(tmp_path, steps).rows

    assert [deed.after_ns for deed in first.compose.by_hand] == [2 * MINUTE]
    assert [deed.after_ns for deed in second.compose.by_hand] == [2 * MINUTE]


def test_equal_comparisons_are_equal(tmp_path):
    """The seed decides everything."""
    steps = step("crash: deployment/vehicle-api", "20s") + step("losePower: {runs: statefulset/postgres}", "20s")

    assert compared(tmp_path, steps) == compared(tmp_path, steps)


def test_a_project_that_does_not_come_up(tmp_path):
    """Says what `docker compose up` said."""
    project = project_with(vehicle_api={"replicas": 4})
    with pytest.raises(
        UserError, match="docker compose up fails: container vehicles-vehicle-api-4: all ports are allocated"
    ):
        compared(tmp_path, step("crash: deployment/vehicle-api"), project)


def test_users_need_a_published_port(tmp_path):
    """Found out before anything runs."""
    with pytest.raises(UserError, match="publishes a port of the host; those that do: none"):
        compared(tmp_path, step("crash: deployment/vehicle-api"), project_with(vehicle_api={"ports": ()}))


@pytest.mark.parametrize(
    "names, nodes, titles",
    [
        (("vehicle-api", "postgres"), 3, 12),
        (("vehicle-api", "postgres"), 1, 11),
        (("vehicle-api",), 3, 9),
        (("postgres",), 3, 3),
    ],
)
def test_the_usual_accidents_are_those_of_what_is_there(names, nodes, titles):
    """No database, no power failure of its machine; one node, none to lose for good."""
    objects = [each.object for each in load(SPECS / "stack.yaml") if each.object["metadata"]["name"] in names]

    assert len(plan_comparison(find_parts(objects), project_with(), MINUTE, nodes).steps) == titles + 1


def test_a_lost_machine_is_replaced_in_its_own_time(tmp_path):
    """Who comes for an earlier fault finds it dark and does nothing yet."""
    steps = step("crash: deployment/vehicle-api", "1m") + step("losePower: {runs: deployment/vehicle-api}", "4m")
    _, lost = compared(tmp_path, steps).rows

    assert [deed.after_ns for deed in lost.compose.by_hand] == [2 * MINUTE]
