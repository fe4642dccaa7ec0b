"""What a kubelet needs from a container runtime and from the network, and the values that pass between them.

Every call returns at once and calls back later. A runtime keeps its records through a stop of the kubelet, which reads
them again when it starts; that is what lets containers survive it.
Upstream: staging/src/k8s.io/cri-api/pkg/apis/runtime/v1/api.proto @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, final

if TYPE_CHECKING:
    from kubesim.api.objects import Object
    from kubesim.network.messages import HttpRequest, OnAnswer
    from kubesim.node.facts import Role
    from kubesim.programs.program import Volume

ContainerState = Literal["created", "running", "exited"]


@final
class ContainerRecord:
    """A container as the runtime knows it.

    `previous` is the exited one that it replaced, if any, which has none itself; `handle` is the runtime's own.
    """

    __slots__ = (
        "attempt",
        "exit_code",
        "finished_at_ns",
        "handle",
        "id",
        "image",
        "image_ref",
        "is_unready",
        "message",
        "name",
        "previous",
        "reason",
        "resources",
        "skew_ns",
        "started_at_ns",
        "state",
    )

    def __init__(self, identity: str, name: str, image: str, image_ref: str, attempt: int) -> None:
        self.id = identity
        self.name = name
        self.image = image
        self.image_ref = image_ref
        self.attempt = attempt
        self.state: ContainerState = "created"
        # Its readiness probes fail, whatever its process would answer.
        self.is_unready = False
        self.started_at_ns = 0
        # By how much the clock was ahead by which it started; times are reported by that clock.
        self.skew_ns = 0
        self.finished_at_ns = 0
        self.exit_code = 0
        self.reason = ""
        self.message = ""
        # What it was started with, or given since; None where nobody has said.
        self.resources: Object | None = None
        self.handle: Any = None
        self.previous: ContainerRecord | None = None


@final
class PodSandbox:
    """A Pod's network and its containers, the latest of each name. Not ready after a stop or a reboot."""

    __slots__ = ("attempt", "containers", "ip", "is_ready", "name", "namespace", "uid")

    def __init__(self, uid: str, namespace: str, name: str, ip: str) -> None:
        self.uid = uid
        self.namespace = namespace
        self.name = name
        self.ip = ip
        self.attempt = 0
        self.is_ready = True
        self.containers: dict[str, ContainerRecord] = {}


class Image(NamedTuple):
    """An image on the node: its full name, its ID and its size."""

    name: str
    ref: str
    size_bytes: int


class RuntimeFailure(NamedTuple):
    """A call that failed; `text` is what the runtime says. `is_timeout`: it took longer than allowed."""

    text: str
    is_timeout: bool = False


class ContainerConfig(NamedTuple):
    """What a container is made from. `volumes` are by mount path; `limit_bytes` of 0 means no memory limit."""

    spec: Object
    image: Image
    attempt: int
    env: Mapping[str, str]
    volumes: Mapping[str, Volume]
    limit_bytes: int
    role: Role = "main"


OnDone = Callable[[Any], None]


class Runtime(Protocol):
    """A container runtime of one node.

    `on_exit(uid)` is to be called when a container of a Pod has ended, `on_health_changed(uid, name)` when a steady
    container's probes may turn out differently; the kubelet sets both.
    """

    on_exit: Callable[[str], None]
    on_health_changed: Callable[[str, str], None]

    @property
    def version(self) -> str:
        """As `nodeInfo.containerRuntimeVersion` has it."""
        ...

    @property
    def boot_id(self) -> str:
        """Changes with every boot of the node."""
        ...

    def images(self) -> Sequence[Image]:
        """The images on the node."""
        ...

    def find_image(self, image: str) -> Image | None:
        """An image that is on the node."""
        ...

    def pull_image(self, image: str, on_done: OnDone) -> None:
        """Pull; `on_done` gets an `Image` or a `RuntimeFailure`."""
        ...

    def pods(self) -> Mapping[str, PodSandbox]:
        """What there is, by Pod UID."""
        ...

    def run_sandbox(self, pod: Object, ip: str, on_done: OnDone) -> None:
        """Make a sandbox, anew for a Pod whose last one is not ready; `on_done` gets a `PodSandbox` or a failure."""
        ...

    def stop_sandbox(self, uid: str, on_done: OnDone) -> None:
        """Take the network down. All containers have ended."""
        ...

    def remove_pod(self, uid: str) -> None:
        """Forget a Pod; what still runs of it is killed."""
        ...

    def create_container(self, pod: Object, config: ContainerConfig, on_done: OnDone) -> None:
        """Create; `on_done` gets a `ContainerRecord` or a failure."""
        ...

    def start_container(self, uid: str, record: ContainerRecord, on_done: OnDone) -> None:
        """Start; `on_done` gets None or a failure."""
        ...

    def stop_container(self, record: ContainerRecord, grace_ns: int, on_done: OnDone) -> None:
        """SIGTERM, then SIGKILL after the grace; `on_done(None)` once it has ended."""
        ...

    def update_container(self, record: ContainerRecord, limit_bytes: int, on_done: OnDone) -> None:
        """Give a container that runs another memory limit, 0 for none; `on_done(None)` when it has it."""
        ...

    def execute(self, record: ContainerRecord, command: Sequence[str], timeout_ns: int, on_done: OnDone) -> None:
        """Run a command inside; `on_done` gets an `ExecResult` or a failure. A timeout of 0 is none."""
        ...

    def is_steady(self, record: ContainerRecord) -> bool:
        """Whether probes can only turn out differently after `on_health_changed`."""
        ...


class Network(Protocol):
    """The node's own way to its Pods."""

    def probe(self, ip: str, port: int, message: HttpRequest | None, timeout_ns: int, on_answer: OnAnswer) -> None:
        """Connect and, unless `message` is None, make one call.

        `on_answer` gets the answer, None for a bare connection, or a `NetError`.
        """
        ...
