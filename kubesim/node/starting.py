"""The steps that start a Pod: volumes, sandbox, image, container, post-start hook.

Each function is a sequence for `Steps`; what fails is returned as the `Reason` that the container's status will show.
Upstream: pkg/kubelet/kuberuntime/{kuberuntime_manager.go:SyncPod,kuberuntime_container.go:startContainer} @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubesim.api.timestamps import to_time
from kubesim.node.env import EnvError, EnvSources, make_environment
from kubesim.node.hooks import run_hook
from kubesim.node.images import ensure_image
from kubesim.node.plan import Kill
from kubesim.node.pod_conditions import with_sandbox_ready
from kubesim.node.resizing import memory_limit
from kubesim.node.runtime import ContainerConfig, ContainerRecord, RuntimeFailure
from kubesim.node.status import Reason
from kubesim.node.volumes import ClaimError, MountError, NotAttachedError, mount_volume, mounts_of
from kubesim.sim.loop import MILLISECOND, SECOND

if TYPE_CHECKING:
    from kubesim.api.objects import Object
    from kubesim.node.facts import ContainerFacts
    from kubesim.node.pod_worker import PodWorker
    from kubesim.node.steps import Sequence
    from kubesim.programs.program import Volume

# Upstream: pkg/kubelet/volumemanager/volume_manager.go:podAttachAndMountRetryInterval. The kubelet looks every 300 ms
# whether all volumes are there, and they never are at the first look.
MOUNT_POLL_NS = 300 * MILLISECOND
# Upstream: pkg/util/goroutinemap/exponentialbackoff: a mount is tried again after 500 ms, doubled up to 2 min 2 s.
_MOUNT_RETRY_NS = 500 * MILLISECOND
_MOUNT_RETRY_MAX_NS = 122 * SECOND
# Upstream: pkg/kubelet/volumemanager/volume_manager.go:podAttachAndMountTimeout
_ATTACH_TIMEOUT_NS = 123 * SECOND


def mount_volumes(worker: PodWorker) -> Sequence:
    """Steps that return None once all volumes are mounted, or the text of an error after which to sync again later."""
    wanted = worker.facts.volumes
    retry_ns = _MOUNT_RETRY_NS
    waited_ns = 0
    volumes: dict[str, Volume] = {}
    while True:
        missing = False
        unattached: list[str] = []
        for volume in wanted:
            name = volume["name"]
            if name in volumes:
                continue
            try:
                volumes[name] = mount_volume(volume, worker.pod, worker.node.volume_sources)
            except MountError as error:
                missing = True
                worker.event("Warning", "FailedMount", f'MountVolume.SetUp failed for volume "{name}" : {error}')
            except NotAttachedError:
                missing = True
                unattached.append(name)
            except ClaimError as error:
                worker.event("Warning", "FailedMount", str(error))
                return str(error)
        if not missing:
            break
        if unattached and waited_ns >= _ATTACH_TIMEOUT_NS:
            return _time_out(worker, unattached)
        yield retry_ns
        waited_ns += retry_ns
        retry_ns = min(2 * retry_ns, _MOUNT_RETRY_MAX_NS)
    yield MOUNT_POLL_NS
    worker.volumes = volumes
    return None


def _time_out(worker: PodWorker, unattached: list[str]) -> str:
    names = " ".join(unattached)
    text = (
        f"Unable to attach or mount volumes: unmounted volumes=[{names}], unattached volumes=[{names}], "
        "failed to process volumes=[]: context deadline exceeded"
    )
    worker.event("Warning", "FailedMount", text)
    return text


def start_sandbox(worker: PodWorker) -> Sequence:
    """Steps that make the sandbox; returns None or the text of the error."""
    node = worker.node
    pod = worker.pod
    if worker.sandbox is not None:
        if worker.sandbox.ip != node.config.address:
            node.addresses.give_back(worker.sandbox.ip)
        worker.event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
    ip = node.config.address if pod["spec"].get("hostNetwork") else node.addresses.take()
    if ip is None:
        text = f"failed to set up sandbox container network: no IP addresses available in {node.addresses.cidr}"
    else:
        result: Any = yield lambda on_done: node.runtime.run_sandbox(pod, ip, on_done)
        if not isinstance(result, RuntimeFailure):
            worker.sandbox = result
            _report_sandbox(worker)
            return None
        text = result.text
        node.addresses.give_back(ip)
    worker.event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {text}")
    return text


def _report_sandbox(worker: PodWorker) -> None:
    """Report at once, and alone, that the sandbox is up. Upstream: pkg/kubelet/kubelet.go:OnPodSandboxReady @v1.36"""
    status = worker.writer.status
    if status is not None:
        generation = worker.pod["metadata"].get("generation", 0)
        conditions = with_sandbox_ready(status.get("conditions") or (), generation, to_time(worker.node.clock_ns))
        worker.writer.set({**status, "conditions": conditions})


def _environment(worker: PodWorker, container: Object) -> Any:
    node = worker.node
    spec = worker.pod["spec"]
    services = node.caches.service_variables(worker.namespace, has_links=spec.get("enableServiceLinks", True))
    if not container.get("env") and not container.get("envFrom"):
        return services
    sources = EnvSources(
        services,
        node.caches.config_map,
        node.caches.secret,
        worker.pod_ip,
        node.config.address,
        node.config.allocatable,
    )
    return make_environment(worker.given_pod, container, sources)


def _refuse_config(worker: PodWorker, facts: ContainerFacts, why: str) -> Reason:
    worker.event("Warning", "Failed", f"Error: {why}", facts.field_path)
    return Reason("CreateContainerConfigError", why)


def _is_root_in_spite(of_pod: Object | None, of_container: Object | None) -> bool:
    """Whether a container is to run as root and must not. Nothing is known of the user that an image has itself.

    Upstream: pkg/kubelet/kuberuntime/security_context_others.go:verifyRunAsNonRoot @v1.36
    """
    if not of_pod and not of_container:
        return False
    context = {**(of_pod or {}), **(of_container or {})}
    return bool(context.get("runAsNonRoot")) and context.get("runAsUser") == 0


def start_container(worker: PodWorker, facts: ContainerFacts) -> Sequence:
    """Steps that start one container; returns None, or the `Reason` why it doesn't run."""
    node = worker.node
    runtime = node.runtime
    sandbox = worker.sandbox
    if sandbox is None:
        return Reason("CreateContainerError", "no sandbox")
    image = yield from ensure_image(node.loop, runtime, worker, facts)
    if isinstance(image, Reason):
        worker.event("Warning", "Failed", f"Error: {image.reason}", facts.field_path)
        return image
    before = sandbox.containers.get(facts.name)
    attempt = before.attempt + 1 if before is not None else worker.restart_count(facts.name)
    try:
        env = _environment(worker, facts.spec)
    except EnvError as error:
        return _refuse_config(worker, facts, str(error))
    if _is_root_in_spite(worker.pod["spec"].get("securityContext"), facts.spec.get("securityContext")):
        of = f'(pod: "{worker.formatted()}", container: {facts.name})'
        return _refuse_config(worker, facts, f"container's runAsUser breaks non-root policy {of}")
    mounts = mounts_of(facts.spec, worker.volumes, worker.parts)
    limit_bytes = memory_limit(facts.resources)
    config = ContainerConfig(facts.spec, image, attempt, env, mounts, limit_bytes, facts.role)
    record: Any = yield lambda on_done: runtime.create_container(worker.pod, config, on_done)
    if isinstance(record, RuntimeFailure):
        worker.event("Warning", "Failed", f"Error: {record.text}", facts.field_path)
        return Reason("CreateContainerError", record.text)
    record.resources = facts.resources
    worker.event("Normal", "Created", "Container created", facts.field_path)
    failure: Any = yield lambda on_done: runtime.start_container(worker.uid, record, on_done)
    if failure is not None:
        worker.event("Warning", "Failed", f"Error: {failure.text}", facts.field_path)
        return Reason("RunContainerError", failure.text)
    worker.event("Normal", "Started", "Container started", facts.field_path)
    return (yield from _post_start(worker, facts, record))


def _post_start(worker: PodWorker, facts: ContainerFacts, record: ContainerRecord) -> Sequence:
    hook = (facts.spec.get("lifecycle") or {}).get("postStart")
    if hook is None:
        return None
    # A hook may outlast a relist, which then tells of the start.
    worker.sync_at_relist()
    problem = yield from run_hook(worker, facts, record, hook)
    if problem is None:
        return None
    worker.event("Warning", "FailedPostStartHook", "PostStartHook failed", facts.field_path)
    yield from worker.kill(Kill(facts, record, "FailedPostStartHook", "FailedPostStartHook"))
    return Reason("PostStartHookError", problem)
