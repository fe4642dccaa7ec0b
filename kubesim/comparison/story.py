"""The faults of a comparison where no scenario is given: what can happen to a stack on either side, one by one.

Each lasts long enough for a person to act where one is needed, so that one fault's outage is not another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubesim.api.objects import Object
from kubesim.compose.model import Project
from kubesim.compose.restart_policy import NO
from kubesim.faults.arguments import (
    Argument,
    Crash,
    Delete,
    Duration,
    NodeTarget,
    PodTarget,
    Reference,
    Scale,
    SetImage,
    Undo,
    Workload,
)
from kubesim.programs.catalog import image_name
from kubesim.scenario.model import Scenario, Step, Users
from kubesim.scenario.story import Parts
from kubesim.sim.loop import MINUTE, SECOND

RATE: Final = 5.0
WRITE_PERCENT: Final = 20
_CALM: Final = Duration(30 * SECOND)
# Long enough for whatever heals by itself on either side.
_HEALS: Final = 60 * SECOND
_POWER_AWAY: Final = 2 * MINUTE
# Upstream: plugin/pkg/admission/defaulttolerationseconds: a lost node's Pods are replaced after 40 s and 5 min @v1.36
_REPLACED: Final = 7 * MINUTE


def plan_comparison(parts: Parts, project: Project, operator_after_ns: int, nodes: int) -> Scenario:
    """The scenario for these parts of a stack; how long each fault lasts depends on what Compose mends by itself."""
    service = parts.service
    load = None
    if service is not None:
        load = Users(
            service=service["metadata"]["name"],
            namespace=service["metadata"].get("namespace", ""),
            rate_per_second=RATE,
            write_percent=WRITE_PERCENT if parts.has_writes else 0,
        )
    steps = [Step(step="Nothing happens", lasts=_CALM), *_steps(parts, project, operator_after_ns, nodes)]
    promise = "What breaks on both sides alike, who mends it, and what users notice."
    return Scenario(name="the usual accidents", promise=promise, steps=steps, load=load)


def _steps(parts: Parts, project: Project, operator_after_ns: int, nodes: int) -> Iterator[Step]:
    front, back = parts.front, parts.back
    mended_ns = operator_after_ns + _HEALS

    def restarted_ns(workload: Object) -> int:
        """How long a fault lasts that a restart mends."""
        service = project.services.get(workload["metadata"]["name"])
        return mended_ns if service is None or service.restart.name == NO else _HEALS

    if front is not None:
        name, of = front["metadata"]["name"], _reference(front)
        yield _step(f"A process of {name} crashes", "crash", Crash(of=of), restarted_ns(front))
        if _has_memory_limit(front):
            yield _step(f"{name} takes too much memory", "oom", PodTarget(of=of), restarted_ns(front))
        yield _step(f"A process of {name} hangs", "hang", PodTarget(of=of), mended_ns)
        yield _step(f"One {name} is deleted by mistake", "delete", Delete(of=of, pod=True), mended_ns)
    if back is not None:
        owner, kept = back["metadata"]["name"], _reference(back)
        yield _step(f"The process of {owner} is killed", "crash", Crash(of=kept, exit_code=137), restarted_ns(back))
        yield _step(f"The machine of {owner} is off for 2 min", "losePower", NodeTarget(runs=kept), _POWER_AWAY)
        back_again_ns = max(restarted_ns(each) for each in (front, back) if each is not None) + _HEALS
        yield _step("It has power again", "restorePower", NodeTarget(), back_again_ns)
    if front is not None:
        yield from _releases(front, operator_after_ns)
        replicas = front["spec"].get("replicas", 1) + 1
        yield _step(f"{name} is scaled to {replicas}", "scale", Scale(of=of, replicas=replicas), mended_ns)
        if nodes > 1:
            lost = NodeTarget(runs=of, runs_not=None if back is None else _reference(back))
            yield _step(
                f"A machine with {name} is lost for good", "losePower", lost, max(_REPLACED, mended_ns + _HEALS)
            )


def _releases(front: Object, operator_after_ns: int) -> Iterator[Step]:
    """A good new version, and a bad one that a person takes back; only where it is known what a version does."""
    name, of = front["metadata"]["name"], _reference(front)
    image: str = front["spec"]["template"]["spec"]["containers"][0]["image"]
    if image_name(image)[0] != "vehicle-api":
        yield _step(f"{name} is restarted", "restartRollout", Workload(of=of), 2 * _HEALS)
        return
    folder, slash, tag = image.partition("@")[0].rpartition("/")
    base = f"{folder}{slash}{tag.partition(':')[0]}"
    yield _step(f"A new version of {name}", "setImage", SetImage(of=of, image=f"{base}:2"), 2 * _HEALS)
    bad = SetImage(of=of, image=f"{base}:3-crash")
    yield _step(f"A version of {name} that crashes", "setImage", bad, operator_after_ns)
    yield _step("A person takes it back", "undoRollout", Undo(of=of), _HEALS)


def _step(title: str, action: str, argument: Argument, lasts_ns: int) -> Step:
    return Step(step=title, action=action, argument=argument, lasts=Duration(lasts_ns))


def _reference(obj: Object) -> Reference:
    metadata = obj["metadata"]
    name = f"{obj['kind'].lower()}/{metadata['name']}"
    return Reference(f"{metadata['namespace']}/{name}" if metadata.get("namespace") else name)


def _has_memory_limit(obj: Object) -> bool:
    container = obj["spec"]["template"]["spec"]["containers"][0]
    return "memory" in ((container.get("resources") or {}).get("limits") or {})
