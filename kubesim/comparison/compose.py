"""Compose's half of a comparison: the actions of Kubernetes' half, at the same instants after the first request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from kubesim.comparison.acting import ComposeActor, NothingToDo
from kubesim.comparison.outcome import Deed
from kubesim.comparison.person import Person
from kubesim.compose.host import ComposeHost
from kubesim.compose.model import Project, Service
from kubesim.errors import UserError
from kubesim.scenario.model import Users
from kubesim.sim.loop import SECOND
from kubesim.users.load import Load

_COMES_UP_S: Final = 300
_SETTLE_S: Final = 5


class Act(NamedTuple):
    """One action of the scenario, when it was done and until when it counts, from the first request on."""

    name: str
    argument: Any
    start_ns: int
    end_ns: int


class ActOutcome(NamedTuple):
    """What became of one action. `without` says why nothing was done, else empty."""

    subject: str
    without: str
    deeds: list[Deed]


class ComposeRun(NamedTuple):
    """A finished run; `lost` has the acknowledged writes missing at each action's instant, and at the end."""

    load: Load
    since_ns: int
    acts: list[ActOutcome]
    lost: list[int]
    kept: int


def run_compose(
    project: Project,
    users: Users,
    acts: Sequence[Act],
    operator_after_ns: int,
    seed: int,
    programs: Mapping[str, Mapping[str, Any]],
) -> ComposeRun:
    """Bring the project up, let users come, do the actions.

    Raises:
        UserError: nothing in the file could be what the users want, or it does not come up.
    """
    service = front_of(project, users.service)
    host = ComposeHost(project, seed, programs)
    error = host.up()
    if error:
        raise UserError(f"docker compose up fails: {error}")
    is_up = lambda: all(  # noqa: E731
        each.health in ("healthy", "none") and each.state != "restarting" for each in host.engine.containers.values()
    )
    host.loop.run_until(host.now_ns + _COMES_UP_S * SECOND, is_up)
    load = host.load(
        host_ports(host, service), rate_per_second=users.rate_per_second, write_percent=users.write_percent
    )
    since_ns = host.now_ns
    actor = ComposeActor(host)
    outcomes: list[ActOutcome] = []
    lost: list[int] = []

    def on_deed(index: int, text: str) -> None:
        after_ns = host.now_ns - since_ns - acts[index].start_ns
        outcomes[index].deeds.append(Deed(text=text, after_ns=after_ns))

    person = Person(host, actor, operator_after_ns, on_deed)
    for index, act in enumerate(acts):
        host.loop.run_until(since_ns + act.start_ns)
        lost.append(len(host.audit(load).lost))
        outcomes.append(_do(actor, act))
        if not outcomes[-1].without and act.name:
            person.watch(index, act.end_ns - act.start_ns, [each.name for each in acts[index + 1 :]])
        host.loop.run_until(since_ns + act.end_ns)
    load.stop()
    audit = host.audit(load)
    host.run(_SETTLE_S)
    return ComposeRun(load, since_ns, outcomes, [*lost, len(audit.lost)], audit.kept)


def _do(actor: ComposeActor, act: Act) -> ActOutcome:
    if not act.name:
        return ActOutcome("", "", [])
    try:
        return ActOutcome(actor.act(act.name, act.argument), "", [])
    except NothingToDo as why:
        return ActOutcome("", str(why), [])


def front_of(project: Project, name: str) -> Service:
    """The service that users reach: the one of the Kubernetes Service's name, or the only one that publishes a port.

    Raises:
        UserError: there is none, or several could be meant.
    """
    published = [each for each in project.services.values() if any(port.first for port in each.ports)]
    named = [each for each in published if each.name == name] or published
    if len(named) != 1:
        what = ", ".join(each.name for each in published) or "none"
        raise UserError(
            f"no service of the Compose file is {name} and publishes a port of the host; those that do: {what}"
        )
    return named[0]


def host_ports(host: ComposeHost, service: Service) -> tuple[int, ...]:
    """The ports of the host that users know: one of each container's, as they were when all had come up."""
    found = []
    for container in host.engine.of_service(service.name):
        if container.host is not None:
            found += host.engine.ports.ports_of(container.host.ip)[:1]
    return tuple(found)
