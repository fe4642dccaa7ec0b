"""What a scenario file can say, as values. A file knows nothing of what runs it: a simulator or real processes.

`fields.py` turns YAML into these and is strict about it; docs/scenarios.md is their reference for users.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec


class Duration(int):
    """A span of time in ns; in a file a text such as 90s, 5m, 1h30m or 250ms."""

    __slots__ = ()


class Reference(str):
    """An object as KIND/NAME, such as deployment/vehicle-api, or as NAMESPACE/KIND/NAME."""

    __slots__ = ()


_UNSET: Final = msgspec.UNSET
# As an object's name in a condition: every object of that kind.
EVERY: Final = "*"


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of everything in a file: keys are written as Kubernetes writes them."""


class Condition(_Part, frozen=True, kw_only=True):
    """Something that can be true of one object; in a file also the short text `KIND/NAME STATE`.

    Exactly one question: `is_` (ready, available, bound, present, gone, cordoned), `field` (a path such as
    `status.phase` or `status.conditions[Progressing].status`), `pods` (all, ready, running, newReady: how many Pods of
    a workload are so) or `event` (the reason of an Event about it). Bounds: `equals`, `at_least`, `at_most`.
    """

    object: Reference
    is_: str = msgspec.field(default="", name="is")
    field: str = ""
    pods: str = ""
    event: str = ""
    message: str = ""
    equals: Any = _UNSET
    at_least: float | None = None
    at_most: float | None = None


class Bound(_Part, frozen=True, kw_only=True):
    """A number's limits; in a file also a bare number, which it must equal."""

    equals: float | None = None
    at_least: float | None = None
    at_most: float | None = None


class Restarts(_Part, frozen=True, kw_only=True):
    """How often the containers of a Pod, or of a workload's present Pods, have been restarted altogether."""

    of: Reference
    equals: float | None = None
    at_least: float | None = None
    at_most: float | None = None


class Expectation(_Part, frozen=True, kw_only=True):
    """What must be so; exactly one of its fields is given.

    `availability` is the least share of requests served, `failed_requests` the most that may go unserved, `recovery`
    the longest time from the disturbance until users are served for good. `that` holds at the end of the step,
    `ever` at some instant of it, `never` at none.
    """

    availability: float | None = None
    failed_requests: Bound | None = None
    recovery: Duration | None = None
    lost_writes: Bound | None = None
    kept_writes: Bound | None = None
    restarts: Restarts | None = None
    that: Condition | None = None
    ever: Condition | None = None
    never: Condition | None = None


class PodTarget(_Part, frozen=True, kw_only=True):
    """A Pod, or the first Ready Pod by name of a workload; in a file also the bare reference."""

    of: Reference
    container: str = ""


class Crash(_Part, frozen=True, kw_only=True):
    """A container's process ends with a code; 137 is what a SIGKILL leaves."""

    of: Reference
    container: str = ""
    exit_code: int = 1


class Delete(_Part, frozen=True, kw_only=True):
    """A deletion by a user; of a workload with `pod: true`, of its first Ready Pod."""

    of: Reference
    pod: bool = False
    grace_seconds: int | None = None


class NodeTarget(_Part, frozen=True, kw_only=True):
    """A node by name, or the first by name that runs a Pod of one workload and none of another.

    Steps that end a disturbance may leave everything out: then they mean the node that was disturbed.
    """

    node: str = ""
    runs: Reference | None = None
    runs_not: Reference | None = None


class Drain(_Part, frozen=True, kw_only=True):
    """`kubectl drain`: cordon, then evict every Pod, trying again every 5 s where a budget refuses."""

    node: str = ""
    runs: Reference | None = None
    runs_not: Reference | None = None
    timeout: Duration = Duration(300_000_000_000)


class Scale(_Part, frozen=True, kw_only=True):
    """A workload's size."""

    of: Reference
    replicas: int


class SetImage(_Part, frozen=True, kw_only=True):
    """Another image for a workload's container, the first one without a name."""

    of: Reference
    image: str
    container: str = ""


class Undo(_Part, frozen=True, kw_only=True):
    """Back to an earlier revision; 0 is the one before."""

    of: Reference
    revision: int = 0


class Patch(_Part, frozen=True, kw_only=True):
    """A strategic merge patch of any object."""

    of: Reference
    change: dict[str, Any]


class Step(_Part, frozen=True, kw_only=True):
    """One thing that happens, and what to wait for and to check afterwards. At most one action is given.

    It begins `at` an instant of the scenario, `after` a pause, or `when` a condition holds. It ends once `until`
    holds (which must be `within` a time, or the scenario fails), still holds after the time that it `stays`, and the
    step has lasted as long as `lasts` (`for`) says.
    """

    step: str = ""
    at: Duration | None = None
    after: Duration | None = None
    when: Condition | None = None
    until: list[Condition] = []
    within: Duration = Duration(600_000_000_000)
    stays: Duration = Duration(0)
    lasts: Duration = msgspec.field(default=Duration(0), name="for")
    expect: list[Expectation] = []

    apply: str | None = None
    crash: Crash | None = None
    oom: PodTarget | None = None
    hang: PodTarget | None = None
    wake: PodTarget | None = None
    delete: Delete | None = None
    evict: PodTarget | None = None
    drain: Drain | None = None
    cordon: NodeTarget | None = None
    uncordon: NodeTarget | None = None
    lose_power: NodeTarget | None = None
    restore_power: NodeTarget | None = None
    isolate: NodeTarget | None = None
    rejoin: NodeTarget | None = None
    stop_kubelet: NodeTarget | None = None
    start_kubelet: NodeTarget | None = None
    scale: Scale | None = None
    set_image: SetImage | None = None
    restart_rollout: Reference | None = None
    undo_rollout: Undo | None = None
    pause_rollout: Reference | None = None
    resume_rollout: Reference | None = None
    patch: Patch | None = None


_NO_ACTIONS: Final = ("step", "at", "after", "when", "until", "within", "stays", "lasts", "expect")
ACTIONS: Final = tuple(name for name in Step.__struct_fields__ if name not in _NO_ACTIONS)


class Nodes(_Part, frozen=True, kw_only=True):
    """The cluster that a scenario wants. A real one that is there already is checked against it by its runner."""

    nodes: int | None = None
    cpu: str = ""
    memory: str = ""
    labels: dict[str, dict[str, str]] = {}
    missing_images: list[str] = []


class Users(_Part, frozen=True, kw_only=True):
    """Users of one Service, from the moment when the stack is up."""

    service: str
    namespace: str = ""
    rate_per_second: float = 10
    write_percent: int = 20


class Scenario(_Part, frozen=True, kw_only=True):
    """One promise and the steps that show whether it is kept."""

    name: str
    promise: str
    steps: list[Step]
    namespace: str = ""
    manifests: list[str] = []
    comes_up_within: Duration = Duration(300_000_000_000)
    cluster: Nodes = Nodes()
    load: Users | None = None
    programs: dict[str, dict[str, Any]] = {}
    expect: list[Expectation] = []


def reference_to(obj: dict[str, Any], others: Iterable[dict[str, Any]]) -> Reference:
    """A reference to an object that none of the `others` could be meant by."""
    kind, metadata = obj["kind"], obj["metadata"]
    alike = [each for each in others if each["kind"] == kind and each["metadata"].get("name") == metadata["name"]]
    reference = f"{kind.lower()}/{metadata['name']}"
    return Reference(f"{metadata['namespace']}/{reference}" if len(alike) > 1 else reference)


def action_of(step: Step) -> tuple[str, Any]:
    """The step's action and its argument; an empty name where it only waits and checks."""
    for name in ACTIONS:
        argument = getattr(step, name)
        if argument is not None:
            return name, argument
    return "", None


def file_name_of(field: str, part: type[msgspec.Struct] = Step) -> str:
    """How a field of a part is written in files: `lose_power` is `losePower`."""
    return part.__struct_encode_fields__[part.__struct_fields__.index(field)]


def question_of(condition: Condition) -> str:
    """Which of its questions a condition asks."""
    return next(name for name in ("is_", "field", "pods", "event") if getattr(condition, name))


def describe(condition: Condition) -> str:
    """The condition in words: `deployment/vehicle-api is ready`."""
    question = question_of(condition)
    if question == "is_":
        return f"{condition.object} is {condition.is_}"
    if question == "event":
        about = f' "{condition.message}"' if condition.message else ""
        return f"{condition.object} has an event {condition.event}{about}"
    subject = f"{condition.object} {condition.field}"
    if question == "pods":
        kinds = {
            "all": "Pods",
            "ready": "ready Pods",
            "running": "running Pods",
            "newReady": "ready Pods of the new version",
        }
        subject = f"{kinds[condition.pods]} of {condition.object}"
    return f"{subject} {describe_bound(condition)}"


def describe_bound(bound: Any) -> str:
    """`is 3`, `is at least 2`, `is at most 0`."""
    parts = []
    if bound.equals is not _UNSET and bound.equals is not None:
        shown = f"{bound.equals:g}" if isinstance(bound.equals, float) else str(bound.equals)
        parts.append(f"is {shown}")
    if bound.at_least is not None:
        parts.append(f"is at least {bound.at_least:g}")
    if bound.at_most is not None:
        parts.append(f"is at most {bound.at_most:g}")
    return " and ".join(parts)


def is_within(bound: Any, value: Any) -> bool:
    """Whether a value keeps to `equals`, `at_least` and `at_most`."""
    if bound.equals is not _UNSET and bound.equals is not None and value != bound.equals:
        return False
    if bound.at_least is None and bound.at_most is None:
        return True
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    at_least, at_most = bound.at_least, bound.at_most
    return (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
