"""What the kubelet needs to know of a Pod's spec again and again. Nothing here depends on anything but the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, final

from kubesim.api.container_totals import total_of_pod
from kubesim.api.memo import IdentityMemo

if TYPE_CHECKING:
    from kubesim.api.objects import Object

Role = Literal["main", "init", "sidecar", "ephemeral"]

_FIELDS: Final[dict[Role, str]] = {"main": "containers", "ephemeral": "ephemeralContainers"}
# What can be changed while a container runs.
RESIZABLE: Final = ("cpu", "memory")
_NO_RESOURCES: Final[Object] = {}
_STARTING: Final[Object] = {"waiting": {"reason": "ContainerCreating"}}
_INITIALIZING: Final[Object] = {"waiting": {"reason": "PodInitializing"}}
NO_LAST_STATE: Final[Object] = {}


@final
class ContainerFacts:
    """One container of the spec. `waiting_state` is its state before anything is known of it; `resources` has the
    Pod's own limits where the container has none. Upstream: pkg/kubelet/util/util.go:GetLimits @v1.36
    """

    __slots__ = ("field_path", "image", "mounts", "name", "resources", "role", "spec", "waiting_state")

    def __init__(self, spec: Object, role: Role, waiting_state: Object, of_pod: Object | None = None) -> None:
        self.spec = spec
        resources: Object = spec.get("resources") or _NO_RESOURCES
        self.resources = _with_limits(resources, of_pod) if of_pod else resources
        self.role = role
        self.name: str = spec["name"]
        self.image: str = spec.get("image", "")
        self.waiting_state = waiting_state
        self.field_path = f"spec.{_FIELDS.get(role, 'initContainers')}{{{self.name}}}"
        mounts = spec.get("volumeMounts")
        self.mounts: list[Object] | None = [_mount_status(mount) for mount in mounts] if mounts else None

    @property
    def has_probes(self) -> bool:
        """Whether anything is probed; of init containers only sidecars are."""
        spec = self.spec
        return self.role != "init" and ("readinessProbe" in spec or "livenessProbe" in spec or "startupProbe" in spec)


def _with_limits(resources: Object, of_pod: Object) -> Object:
    limits = {name: amount for name, amount in (of_pod.get("limits") or {}).items() if name in RESIZABLE}
    return {**resources, "limits": {**limits, **(resources.get("limits") or {})}} if limits else resources


def _mount_status(mount: Object) -> Object:
    # Upstream: pkg/kubelet/kubelet_pods.go:convertToAPIContainerStatuses @v1.36
    status: Object = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        status["readOnly"] = True
        wanted = mount.get("recursiveReadOnly")
        status["recursiveReadOnly"] = "Enabled" if wanted in {"Enabled", "IfPossible"} else "Disabled"
    return status


@final
class PodFacts:
    """The containers in order of the spec (`main` sorted by name in `main_by_name`), and the Pod's resources."""

    __slots__ = ("by_name", "ephemeral", "has_probes", "init", "main", "main_by_name", "restart_policy", "volumes")

    def __init__(self, spec: Object) -> None:
        init_specs = spec.get("initContainers") or ()
        waiting = _INITIALIZING if init_specs else _STARTING
        own = spec.get("resources")
        self.init = tuple(
            ContainerFacts(item, "sidecar" if item.get("restartPolicy") == "Always" else "init", waiting, own)
            for item in init_specs
        )
        self.main = tuple(ContainerFacts(item, "main", waiting, own) for item in spec["containers"])
        self.main_by_name = self.main if len(self.main) == 1 else tuple(sorted(self.main, key=lambda facts: facts.name))
        self.ephemeral = tuple(
            ContainerFacts(item, "ephemeral", waiting) for item in spec.get("ephemeralContainers") or ()
        )
        self.by_name = {facts.name: facts for facts in (*self.init, *self.main, *self.ephemeral)}
        self.has_probes = any(facts.has_probes for facts in self.by_name.values())
        self.restart_policy: str = spec.get("restartPolicy", "Always")
        self.volumes: list[Object] = spec.get("volumes") or []


def _aggregated(containers: list[Object]) -> tuple[Object, Object]:
    spec = {"containers": containers}
    return total_of_pod(spec, "requests"), total_of_pod(spec, "limits")


# Most Pods have one container, whose `resources` object is shared by all Pods of a template.
_single = IdentityMemo(lambda resources: _aggregated([{"resources": resources}]), 512)


def pod_resources(spec: Object) -> tuple[Object, Object]:
    """The Pod's total requests and limits. Upstream: pkg/kubelet/kubelet_pods.go:getEffectiveAllocatedResources"""
    containers = spec["containers"]
    if len(containers) == 1 and not (spec.get("initContainers") or spec.get("resources") or spec.get("overhead")):
        resources = containers[0].get("resources")
        return _single(resources) if resources else (_NO_RESOURCES, _NO_RESOURCES)
    return total_of_pod(spec, "requests"), total_of_pod(spec, "limits")
