"""What a scenario needs of the cluster that it runs on. One body drives the simulator, another real processes.

References are KIND/NAME or NAMESPACE/KIND/NAME texts; without a namespace they mean the one object of that kind and
name. Instants are ns since the cluster came to be, by the cluster's own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from kubesim.api.objects import Object
from kubesim.faults import Schedule
from kubesim.faults.arguments import Argument
from kubesim.network.messages import Answer, HttpRequest
from kubesim.users.ledger import Audit
from kubesim.users.report import Counts

# Faults that need nothing but the API: every body can do them.
API_FAULTS: Final = (
    "delete",
    "evict",
    "drain",
    "cordon",
    "uncordon",
    "scale",
    "setImage",
    "restartRollout",
    "undoRollout",
)


class Users(Protocol):
    """Users of a Service who send requests and remember what they were told."""

    def count(self, from_ns: int, to_ns: int) -> Counts:
        """The requests sent from one instant until before another."""
        ...

    def reasons(self) -> dict[str, int]:
        """Why requests were refused or failed, and how often."""
        ...

    def recovery_ns(self, fault_ns: int, until_ns: int) -> int | None:
        """How long after a fault users were served again for good; 0 when nobody noticed, None when they are not."""
        ...

    def longest_outage_ns(self, from_ns: int, to_ns: int) -> int:
        """The longest time for which users were not served; 0 when all were."""
        ...

    def first_unserved(self, from_ns: int, to_ns: int) -> tuple[int, str] | None:
        """When the first request of a span that was not served was sent, and why it was not, or None."""
        ...

    def duration_ns(self, share: float) -> int | None:
        """The duration that this share of the served requests did not exceed."""
        ...

    def audit(self) -> Audit:
        """The acknowledged writes against what the database holds now."""
        ...

    def stop(self) -> None:
        """Send no more requests."""
        ...


class Faults(Protocol):
    """A schedule that is under way."""

    @property
    def end_ns(self) -> int:
        """The instant at which the last of it that has an instant will have struck and been healed."""
        ...

    def heal_all(self) -> None:
        """End all that is still on; nothing more strikes."""
        ...


class Port(Protocol):
    """A cluster, for a scenario."""

    @property
    def now_ns(self) -> int:
        """The instant that has been reached."""
        ...

    @property
    def disturbances(self) -> Sequence[str]:
        """Which faults of the catalogue it can do beside `API_FAULTS`."""
        ...

    def apply(self, path: Path) -> Sequence[Object]:
        """Apply a file or folder of manifests."""
        ...

    def find(self, reference: str, namespace: str = "") -> Object | None:
        """An object, or None."""
        ...

    def list(self, kind: str, namespace: str = "") -> Sequence[Object]:
        """All objects of a kind, by namespace and name."""
        ...

    def pods_of(self, reference: str, namespace: str = "") -> Sequence[Object]:
        """The Pods of a workload by name, or the Pod itself."""
        ...

    def events_about(self, obj: Object) -> Sequence[Object]:
        """The Events about an object, and about the Pods and ReplicaSets of a workload."""
        ...

    def watch(self, kind: str, on_change: Callable[[str, Object], None], namespace: str = "") -> Callable[[], None]:
        """Have `on_change(type, object)` called with each ADDED, MODIFIED and DELETED object of a kind from now on,
        while time passes; returns what ends that."""
        ...

    def logs(self, pod: Object, container: str = "", *, is_previous: bool = False) -> str:
        """What a container has written, or the one before its last restart; the only container without a name.

        Raises:
            ApiError: there is no such container, or it has not begun.
        """
        ...

    def call(self, service: str, request: HttpRequest, namespace: str = "") -> Answer:
        """One request to a Service's first port, as a user sends it; the reply, or why there is none."""
        ...

    def wait_until(self, holds: Callable[[], bool], within_ns: int) -> bool:
        """Let time pass until `holds()`, asked after every change, or for so long; returns whether it held."""
        ...

    def pass_time(self, span_ns: int, on_change: Callable[[], None] | None = None) -> None:
        """Let time pass; `on_change` is called after every change of an object."""
        ...

    def settle(self) -> None:
        """Let time pass, at most seconds, until no request of the users is without an outcome."""
        ...

    def delete(self, reference: str, namespace: str = "", **options: Any) -> None:
        """Delete an object; `options` are those of `kubesim.api.requests.Options`."""
        ...

    def evict(self, pod: Object) -> str:
        """Ask for a Pod's eviction; the refusal's text where a disruption budget refuses, else an empty one."""
        ...

    def cordon(self, node: str, *, is_cordoned: bool) -> None:
        """Let no new Pods onto a node, or let them again."""
        ...

    def create(self, obj: Object, namespace: str = "") -> Object:
        """Create an object, in the namespace where it needs one and names none; returns it as it is stored."""
        ...

    def patch(
        self, reference: str, change: Any, namespace: str = "", patch_type: str = "strategic", subresource: str = ""
    ) -> None:
        """Patch an object, by one of the types strategic, merge and json."""
        ...

    def exec(self, pod: Object, container: str, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in a container, the first one without a name; returns its exit code and what it printed."""
        ...

    def scale(self, reference: str, replicas: int, namespace: str = "") -> None:
        """Set a workload's size."""
        ...

    def set_image(self, reference: str, image: str, container: str = "", namespace: str = "") -> None:
        """Give a workload's container another image."""
        ...

    def restart_rollout(self, reference: str, namespace: str = "") -> None:
        """`kubectl rollout restart`."""
        ...

    def undo_rollout(self, reference: str, revision: int = 0, namespace: str = "") -> None:
        """`kubectl rollout undo`."""
        ...

    def disturb_pod(self, name: str, pod: Object, container: str, exit_code: int) -> None:
        """crash, oom, hang or wake."""
        ...

    def disturb_node(self, name: str, node: str) -> None:
        """losePower, restorePower, isolate, rejoin, stopKubelet or startKubelet."""
        ...

    def disturb(self, fault: str, argument: Argument, namespace: str = "") -> str:
        """Any other fault of the catalogue that is among `disturbances`; returns what it was done to."""
        ...

    def heal(self, fault: str) -> str:
        """End the last fault of this name that `disturb` began; returns what it was done to.

        Raises:
            UserError: none is on.
        """
        ...

    def start_faults(self, schedule: Schedule, namespace: str = "") -> Faults:
        """Let a schedule strike from now on."""
        ...

    def start_users(self, service: str, namespace: str, rate_per_second: float, write_percent: int) -> Users:
        """Start users of a Service."""
        ...
