"""Where the simulator is known to differ from a recording, and why. Whatever is listed here must differ."""

from __future__ import annotations

_CHANCE = "chance of that run: "
_NO_FILES = "gap: a simulated image has neither files nor a user, so every command starts"
_PAUSED = "the recorded kubelet was paused and found its runtime down for 10 s, the simulated one only had no network"
_SHUFFLE = _CHANCE + "a sync of the volume binder put its finalizer back just before the deletion"

KNOWN: dict[tuple[str, str], str] = {
    ("a6-lifecycle-hooks", "pods/postfail"): _CHANCE + "a relist saw the second container between start and end",
    ("b1-crashloop", "pods/crash"): _CHANCE + "which sync of the last back-off came before the end of the recording",
    ("b2-image-errors", "pods/nocommand"): _NO_FILES,
    ("b2-image-errors", "pods/nonroot"): _NO_FILES,
    ("b2-image-errors", "events of pods/nocommand"): _NO_FILES,
    ("b2-image-errors", "events of pods/nonroot"): _NO_FILES,
    ("b3-probe-failures", "events of pods/httptimeout"): "the recorded machine refused what should have timed out",
    ("b4-oom", "pods/oomchild"): "gap: no child processes, so none is killed for memory in place of the first one",
    ("d1-statefulset-ordered", "persistentvolumes/pv~data-db-1"): _SHUFFLE,
    ("d1-statefulset-ordered", "persistentvolumes/pv~data-db-2"): _SHUFFLE,
    ("d2-statefulset-parallel", "persistentvolumes/pv~data-db-0"): _SHUFFLE,
    ("d2-statefulset-parallel", "persistentvolumeclaims/data-db-1"): _CHANCE + "owner before or after the provisioner",
    ("d2-statefulset-parallel", "events of statefulsets/db"): _CHANCE + "which of the three claims met a conflict",
    ("d3-statefulset-stuck", "controllerrevisions/db-dc8644bc"): _CHANCE
    + "how often it was made again during deletion",
    ("d3-statefulset-stuck", "events of pods/slow-1"): _CHANCE + "the first probe came before the Pod was ready",
    ("e1-services-endpoints", "endpoints/cluster"): _CHANCE + "Endpoints made again while their Service was deleted",
    ("e1-services-endpoints", "endpointslices/headless"): _CHANCE + "a retry after a conflict also dropped the Pod",
    ("e1-services-endpoints", "endpointslices/unready"): _CHANCE + "a retry after a conflict also dropped the Pod",
    ("e1-services-endpoints", "endpointslices/nodeport"): _CHANCE + "a retry after a conflict also dropped the Pod",
    ("e1-services-endpoints", "endpointslices/lb"): _CHANCE + "a retry after a conflict also dropped the Pod",
    ("f2-volumes", "persistentvolumes/pv~dyn"): _SHUFFLE,
    ("f2-volumes", "persistentvolumes/pv~later"): _SHUFFLE,
    ("f2-volumes", "persistentvolumeclaims/empty"): _CHANCE + "the phase of the binder's resync of 15 s",
    ("h1-kubelet-stopped", "nodes/node-1"): _PAUSED,
    ("h1-kubelet-stopped", "pods/db-0"): _PAUSED,
    ("h1-kubelet-stopped", "events of pods/web~1~"): _PAUSED,
    ("h1-kubelet-stopped", "events of pods/db-0"): _PAUSED,
    ("h3-drain-cordon", "controllerrevisions/db-695bf8449b"): "as pods/db-0, for which the drain waited",
    ("h3-drain-cordon", "pods/db-0"): _CHANCE + "the first probe came before the Pod was ready",
    ("k1-failed-scheduling", "pods/outofcpu"): _CHANCE + "the kubelet's refusal was not written in time; k3 has it",
    ("k3-more-scheduling", "pods/lost"): _CHANCE + "the phase of the Pod garbage collector's 20 s",
    ("s1-stack", "events of pods/postgres-0"): _CHANCE + "the first probe came earlier in the database's start",
    ("s1-stack", "events of poddisruptionbudgets/vehicle-api"): _CHANCE + "the budget was seen before the first Pod",
    ("s1-stack", "events of pods/vehicle-api~1~"): _CHANCE + "the first probe came before the program listened",
    ("s1-stack", "events of pods/vehicle-api~2~"): _CHANCE + "a probe met a process that was ending",
}
