"""What is to be done for a Pod now: which containers to start, kill or leave.

Pure: the spec's facts, what the runtime shows and what the probes say, in; actions out.
Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go:computePodActions,
kuberuntime_container.go:computeInitContainerActions @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from kubesim.node.resizing import compute_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubesim.api.objects import Object
    from kubesim.node.facts import ContainerFacts, PodFacts
    from kubesim.node.runtime import ContainerRecord, PodSandbox

ProbeResult = Literal["unknown", "success", "failure"]
KillReason = Literal["", "StartupProbe", "LivenessProbe", "FailedPostStartHook"]


class ProbeResults(Protocol):
    """What the probes of one container say; None where there is no such probe."""

    @property
    def startup(self) -> ProbeResult | None:
        """Whether it has started."""
        ...

    @property
    def readiness(self) -> ProbeResult | None:
        """Whether it is ready."""
        ...

    @property
    def liveness(self) -> ProbeResult | None:
        """Whether it is alive."""
        ...


class Kill(NamedTuple):
    """A container to stop, what its Event says, and what for (which decides the grace period)."""

    facts: ContainerFacts
    record: ContainerRecord
    message: str
    reason: KillReason


class Resize(NamedTuple):
    """A container that is to have other resources while it runs."""

    facts: ContainerFacts
    record: ContainerRecord


class PodActions(NamedTuple):
    """`kill_pod` stops everything that runs. Containers start in the order given: ephemeral, then init containers."""

    kill_pod: bool = False
    create_sandbox: bool = False
    start: tuple[ContainerFacts, ...] = ()
    kill: tuple[Kill, ...] = ()
    resize: tuple[Resize, ...] = ()


NOTHING = PodActions()


def should_restart(facts: ContainerFacts, pod_policy: str, exit_code: int) -> bool:
    """Whether a container that ended is started again. Upstream: pkg/api/v1/pod/util.go:ContainerShouldRestart"""
    spec: Object = facts.spec
    policy = spec.get("restartPolicy")
    if policy is not None:
        for rule in spec.get("restartPolicyRules") or ():
            if _matches(rule, exit_code):
                return True
    policy = policy or pod_policy
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _matches(rule: Object, exit_code: int) -> bool:
    codes = rule.get("exitCodes")
    if codes is None or rule.get("action") not in {"Restart", "RestartAllContainers"}:
        return False
    is_listed = exit_code in (codes.get("values") or ())
    return is_listed if codes["operator"] == "In" else not is_listed


def is_to_start(facts: ContainerFacts, record: ContainerRecord | None, pod_policy: str) -> bool:
    """Whether a container that isn't running shall run.

    Upstream: pkg/kubelet/container/helpers.go:ShouldContainerBeRestarted @v1.36
    """
    if record is None or record.state == "created":
        return True
    return record.state == "exited" and should_restart(facts, pod_policy, record.exit_code)


def _with_new_sandbox(pod: PodFacts, sandbox: PodSandbox | None) -> PodActions:
    containers = sandbox.containers if sandbox is not None else {}
    if sandbox is not None and containers and pod.restart_policy == "Never":
        return PodActions(kill_pod=True)
    start = []
    for facts in pod.main:
        record = containers.get(facts.name)
        policy = facts.spec.get("restartPolicy") or pod.restart_policy
        if policy == "OnFailure" and record is not None and record.state == "exited" and record.exit_code == 0:
            continue
        start.append(facts)
    if not start and any(facts.name in containers for facts in pod.main):
        return PodActions(kill_pod=True)
    return PodActions(kill_pod=True, create_sandbox=True, start=pod.init[:1] if pod.init else tuple(start))


class _InitPlan(NamedTuple):
    is_initialized: bool
    start: tuple[ContainerFacts, ...] = ()
    kill: tuple[Kill, ...] = ()
    is_failed: bool = False


def _failed_probe(results: ProbeResults | None) -> KillReason:
    if results is not None:
        if results.liveness == "failure":
            return "LivenessProbe"
        if results.startup == "failure":
            return "StartupProbe"
    return ""


_PROBE_NAMES = {"LivenessProbe": "liveness", "StartupProbe": "startup"}


def _plan_sidecar(
    facts: ContainerFacts, record: ContainerRecord, results: ProbeResults | None
) -> tuple[bool, bool, Kill | None]:
    """Of a sidecar that has a record: whether it has started, whether it is to be started again, and a kill."""
    if record.state != "running":
        return False, True, None
    startup = results.startup if results is not None else None
    is_started = startup in {None, "success"}
    reason = _failed_probe(results)
    if reason == "StartupProbe" or (is_started and reason):
        message = f"Init container {facts.name} failed {_PROBE_NAMES[reason]} probe"
        return is_started, True, Kill(facts, record, message, reason)
    return is_started, False, None


def _plan_init(
    pod: PodFacts, containers: Mapping[str, ContainerRecord], probes: Mapping[str, ProbeResults]
) -> _InitPlan:
    init = pod.init
    if not init:
        return _InitPlan(is_initialized=True)
    is_initialized = any(
        (record := containers.get(facts.name)) is not None and record.state != "exited" for facts in pod.main
    )
    was_later_seen = is_initialized
    start: list[ContainerFacts] = []
    kill: list[Kill] = []
    # From the last to the first: what comes after a container that has a record needs no look at its turn.
    for index in range(len(init) - 1, -1, -1):
        facts = init[index]
        record = containers.get(facts.name)
        if record is None:
            if was_later_seen and facts.role == "sidecar":
                start.append(facts)
            continue
        if was_later_seen and facts.role == "init":
            continue
        is_done = False
        if facts.role == "sidecar":
            is_done, again, killed = _plan_sidecar(facts, record, probes.get(facts.name))
            if killed is not None:
                kill.append(killed)
            if again:
                start.append(facts)
        elif record.state == "created":
            start.append(facts)
        elif record.state == "exited":
            is_done = record.exit_code == 0
            if not is_done:
                if not should_restart(facts, pod.restart_policy, record.exit_code):
                    return _InitPlan(is_initialized=False, is_failed=True)
                start.append(facts)
        if is_done:
            if index == len(init) - 1:
                is_initialized = True
            elif not was_later_seen:
                start.append(init[index + 1])
        was_later_seen = True
    if not was_later_seen:
        start.append(init[0])
    return _InitPlan(is_initialized, tuple(reversed(start)), tuple(kill))


def compute_pod_actions(
    pod: PodFacts, sandbox: PodSandbox | None, probes: Mapping[str, ProbeResults], *, is_deleting: bool = False
) -> PodActions:
    """What to do next. `probes` has the containers that have any; a Pod that is being deleted starts nothing."""
    if sandbox is None or not sandbox.is_ready:
        return NOTHING if is_deleting else _with_new_sandbox(pod, sandbox)
    containers = sandbox.containers
    init = _plan_init(pod, containers, probes)
    if init.is_failed:
        return PodActions(kill_pod=True)
    # They do not wait for initialization, and never start again.
    ephemeral = [] if is_deleting else [facts for facts in pod.ephemeral if facts.name not in containers]
    start = [*ephemeral, *init.start]
    kill = list(init.kill)
    resize = [] if is_deleting else _plan_init_resizes(pod, containers, probes, start, kill)
    if not init.is_initialized:
        return PodActions(start=tuple(start), kill=tuple(kill), resize=tuple(resize))
    main_starts = False
    kept = 0
    for facts in pod.main:
        record = containers.get(facts.name)
        if record is None or record.state != "running":
            if not is_deleting and is_to_start(facts, record, pod.restart_policy):
                start.append(facts)
                main_starts = True
            continue
        reason = _failed_probe(probes.get(facts.name))
        change = "" if is_deleting or reason else compute_change(facts, record)
        if change == "restart":
            kill.append(_restart(facts, record))
            start.append(facts)
            main_starts = True
            continue
        if not reason:
            kept += 1
            if change:
                resize.append(Resize(facts, record))
            continue
        message = f"Container {facts.name} failed {_PROBE_NAMES[reason]} probe"
        if (facts.spec.get("restartPolicy") or pod.restart_policy) != "Never":
            message += ", will be restarted"
            start.append(facts)
            main_starts = True
        kill.append(Kill(facts, record, message, reason))
    if not kept and not main_starts:
        return PodActions(kill_pod=True)
    if not start and not kill and not resize:
        return NOTHING
    return PodActions(start=tuple(start), kill=tuple(kill), resize=tuple(resize))


def _plan_init_resizes(
    pod: PodFacts,
    containers: Mapping[str, ContainerRecord],
    probes: Mapping[str, ProbeResults],
    start: list[ContainerFacts],
    kill: list[Kill],
) -> list[Resize]:
    """What init containers and sidecars need that run and are left alone otherwise; restarts are added to the rest."""
    resizes = []
    for facts in pod.init:
        record = containers.get(facts.name)
        if record is None or record.state != "running" or any(each.facts is facts for each in kill):
            continue
        results = probes.get(facts.name)
        if results is not None and results.startup not in {None, "success"}:
            continue
        change = compute_change(facts, record)
        if change == "restart":
            kill.append(_restart(facts, record))
            start.append(facts)
        elif change:
            resizes.append(Resize(facts, record))
    return resizes


def _restart(facts: ContainerFacts, record: ContainerRecord) -> Kill:
    return Kill(facts, record, f"Container {facts.name} resize requires restart", "")
