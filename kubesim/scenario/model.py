"""What a scenario file can say, as values. A file knows nothing of what runs it: a simulator or real processes.

`fields.py` turns YAML into these and is strict about it; docs/scenarios.md is their reference for users.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from kubesim.faults import FAULTS, Disturbance
from kubesim.faults.arguments import Argument, Duration, Reference, Workload

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


class Answer(_Part, frozen=True, kw_only=True):
    """How the API server refuses what a step asks for: the Status's code, reason and message."""

    code: int
    reason: str = ""
    message: str = ""


class Expectation(_Part, frozen=True, kw_only=True):
    """What must be so; exactly one of its fields is given.

    `availability` is the least share of requests served, `failed_requests` the most that may go unserved, `recovery`
    the longest time from the disturbance until users are served for good, `outage` the longest that they may do without
    at any time. `that` holds at the end of the step, `ever` at some instant of it, `never` at none. `answer` says that
    the API server refuses the step's action, and how.
    """

    availability: float | None = None
    failed_requests: Bound | None = None
    recovery: Duration | None = None
    outage: Duration | None = None
    lost_writes: Bound | None = None
    kept_writes: Bound | None = None
    restarts: Restarts | None = None
    that: Condition | None = None
    ever: Condition | None = None
    never: Condition | None = None
    answer: Answer | None = None


class Patch(Argument, frozen=True, kw_only=True):
    """A patch of any object or subresource, of one of the types strategic, merge and json."""

    of: Reference
    change: Any
    type: str = "strategic"
    subresource: str = ""


class Exec(Argument, frozen=True, kw_only=True):
    """A command run in a container, the first one without a name; it must end with 0."""

    of: Reference
    command: list[str]
    container: str = ""


class Heal(Argument, frozen=True, kw_only=True):
    """The end of a fault that has no twin of its own, by the fault's name; in a file also the bare name."""

    fault: str


class Step(_Part, frozen=True, kw_only=True):
    """One thing that happens, and what to wait for and to check afterwards. At most one action is given.

    In a file the action is a key of its own, one of `ACTIONS`: `crash: deployment/vehicle-api`.

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

    action: str = ""
    argument: Any = None


# What a step can do: the argument's type by the key that it has in files.
ACTIONS: Final[dict[str, Any]] = {
    **{name: kind.argument for name, kind in FAULTS.items()},
    "heal": Heal,
    "apply": str,
    "create": list[dict[str, Any]],
    "patch": Patch,
    "exec": Exec,
    "pauseRollout": Workload,
    "resumeRollout": Workload,
}


class Latency(_Part, frozen=True, kw_only=True):
    """How long a simulated request takes to be answered, and a watch event to reach its reader."""

    read: Duration = Duration(1_000_000)
    write: Duration = Duration(4_000_000)
    watch: Duration = Duration(1_000_000)


class Nodes(_Part, frozen=True, kw_only=True):
    """The cluster that a scenario wants. A real one that is there already is checked against it by its runner.

    `seed` and `latency` are the simulator's.
    """

    nodes: int | None = None
    cpu: str = ""
    memory: str = ""
    labels: dict[str, dict[str, str]] = {}
    missing_images: list[str] = []
    present_images: list[str] = []
    seed: int = 0
    latency: Latency = Latency()


class Users(_Part, frozen=True, kw_only=True):
    """Users of one Service, from the moment when the stack is up."""

    service: str
    namespace: str = ""
    rate_per_second: float = 10
    write_percent: int = 20


class Checks(_Part, frozen=True, kw_only=True):
    """What watches a run of `faults`, for `kubesim replay`.

    Faults strike within `disturbed`, then all is healed; the cluster must be as desired `within` a time and stay so as
    long as `stays` says; a run takes `lasts` at least. All invariants watch where none are named; `availability` is the
    least share of requests served, `recovery` the longest that users may do without, 0 for any. `breaks` is the promise
    that this run breaks, `digest` that of its trace.
    """

    invariants: list[str] = []
    availability: float = 0.0
    recovery: Duration = Duration(0)
    disturbed: Duration = Duration(300_000_000_000)
    within: Duration = Duration(600_000_000_000)
    stays: Duration = Duration(60_000_000_000)
    lasts: Duration = Duration(600_000_000_000)
    breaks: str = ""
    digest: str = ""


class Scenario(_Part, frozen=True, kw_only=True):
    """One promise and the steps that show whether it is kept, and beside them faults at their instants and writes."""

    name: str
    promise: str
    steps: list[Step] = []
    faults: list[Disturbance] = []
    namespace: str = ""
    manifests: list[str] = []
    comes_up_within: Duration = Duration(300_000_000_000)
    cluster: Nodes = Nodes()
    load: Users | None = None
    programs: dict[str, dict[str, Any]] = {}
    expect: list[Expectation] = []
    checks: Checks | None = None


def reference_to(obj: dict[str, Any], others: Iterable[dict[str, Any]]) -> Reference:
    """A reference to an object that none of the `others` could be meant by."""
    kind, metadata = obj["kind"], obj["metadata"]
    alike = [each for each in others if each["kind"] == kind and each["metadata"].get("name") == metadata["name"]]
    reference = f"{kind.lower()}/{metadata['name']}"
    return Reference(f"{metadata['namespace']}/{reference}" if len(alike) > 1 else reference)


def chosen_of(part: Step | Disturbance) -> str:
    """The key of a step's action or of a disturbance's fault; empty where a step only waits and checks."""
    return part.action if isinstance(part, Step) else part.fault


def file_name_of(field: str, part: type[msgspec.Struct]) -> str:
    """How a field of a part is written in files: `at_least` is `atLeast`."""
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
