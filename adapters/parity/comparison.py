"""Compares two summaries, subject by subject."""

from __future__ import annotations

import json
from typing import Any

# A probe that meets a container which is just ending: a matter of milliseconds.
CHANCE = ("desc = context canceled", "no running task found", "container is in CONTAINER_EXITED state")
# What sums up several Pods shows every moment of them all: only states that last are compared.
TOGETHER = ("deployments/", "replicasets/", "statefulsets/", "endpointslices/", "endpoints/", "poddisruptionbudgets/")
LASTING_S = 2.5
# How often something is tried within a back-off, or while several writes follow one another, is chance.
COUNTS = {"FailedScheduling": (3, 0.6), "BackOff": (2, 0.4), "Unhealthy": (2, 1.0)}
# What users do comes when they do it.
USERS_FIELDS = {"deleting", "unschedulable", "taints"}
# Writes this close together may be recorded as one.
COALESCED_S = 0.6
# What a busy machine of two cores adds to a wait: seconds, and a share of the wait.
SLACK_S = 1.6
SLACK_SHARE = 0.12
BACKOFF_SHARE = 0.5


def subjects(summary: dict[str, Any]) -> list[str]:
    """What can be compared: each object's histories, and the Events about each object."""
    return [*summary["objects"], *(f"events of {subject}" for subject in summary["events"])]


def _lasting(history: list[Any]) -> list[tuple[float, dict[str, Any]]]:
    """The whole states of a history, each with the seconds for which it lasted."""
    state: dict[str, Any] = {}
    states = []
    for number, (_, change) in enumerate(history):
        state = {field: value for field, value in {**state, **change}.items() if value is not None}
        states.append((history[number + 1][0] if number + 1 < len(history) else LASTING_S, state))
    return states


def _missing(wanted: list[Any], found: list[Any]) -> list[str]:
    """Lasting states of one history that the other does not go through in the same order."""
    states = [state for _, state in _lasting(found)]
    place = 0
    lines = []
    for seconds, state in _lasting(wanted):
        if seconds < LASTING_S or "gone" in state:
            continue
        at = next((index for index in range(place, len(states)) if states[index] == state), None)
        if at is None:
            lines.append(f"for {seconds} s {json.dumps(state)}")
        else:
            place = at
    return lines


def _lasting_differences(recorded: list[Any], simulated: list[Any]) -> list[str]:
    lines = [f"only recorded {line}" for line in _missing(recorded, simulated)]
    return lines + [f"only simulated {line}" for line in _missing(simulated, recorded)]


def differences(recorded: dict[str, Any], simulated: dict[str, Any], subject: str) -> list[str]:
    """In what the simulated subject differs, a line each; nothing where it is the same, or nobody recorded it."""
    if subject.startswith("events of "):
        name = subject.removeprefix("events of ")
        return _event_differences(recorded["events"].get(name, []), simulated["events"].get(name, []))
    resource = subject.partition("/")[0] + "/"
    if not any(each.startswith(resource) for each in recorded["objects"]):
        return []
    compare = _lasting_differences if resource in TOGETHER or subject.endswith("~") else _history_differences
    wanted = list(recorded["objects"].get(subject, []))
    left = list(simulated["objects"].get(subject, []))
    open_ = []
    for history in wanted:
        match = next((other for other in left if not compare(history, other)), None)
        if match is None:
            open_.append(history)
        else:
            left.remove(match)
    lines = (
        []
        if len(open_) == len(left)
        else [f"{len(wanted)} objects recorded, {len(wanted) - len(open_) + len(left)} simulated"]
    )
    for history, other in zip(open_, left, strict=False):
        lines += compare(history, other)
    return lines


def _coalesced(recorded: list[Any], simulated: list[Any]) -> list[Any]:
    """The simulated history with writes in one where the recorded one has them so: a busy kubelet sends the latest."""
    steps: list[Any] = []
    left = list(simulated)
    for _, wanted in recorded:
        if not left:
            break
        step = left.pop(0)
        while step[1] != wanted and left and left[0][0] <= COALESCED_S and "gone" not in left[0][1]:
            following = left[0]
            joined = [step[0] + following[0], {**step[1], **following[1]}]
            if joined[1] != wanted and not set(joined[1]) <= set(wanted):
                break
            step = joined
            left.pop(0)
        steps.append(step)
    return steps + left


def _history_differences(recorded: list[Any], simulated: list[Any]) -> list[str]:
    simulated = _coalesced(recorded, simulated)
    for number, (wanted, got) in enumerate(zip(recorded, simulated, strict=False)):
        if wanted[1] != got[1]:
            only = {k: v for k, v in wanted[1].items() if k not in got[1] or got[1][k] != v}
            other = {k: v for k, v in got[1].items() if k not in wanted[1] or wanted[1][k] != v}
            return [
                f"step {number}: recorded +{wanted[0]} {json.dumps(only)}",
                f"         simulated +{got[0]} {json.dumps(other)}",
            ]
        is_of_users = not wanted[1].keys().isdisjoint(USERS_FIELDS) or wanted[1].get("phase") == "Released"
        if number and not is_of_users and abs(wanted[0] - got[0]) > _slack(*recorded[number - 1 : number + 1]):
            return [f"step {number}: recorded after {wanted[0]} s, simulated after {got[0]} s: {json.dumps(wanted[1])}"]
    if len(recorded) != len(simulated):
        more, whose = (recorded, "recorded") if len(recorded) > len(simulated) else (simulated, "simulated")
        shared = min(len(recorded), len(simulated))
        return [f"only {whose}: step {shared} and on, {json.dumps(more[shared])}"]
    return []


def _slack(before: list[Any], step: list[Any]) -> float:
    """A back-off is lengthened by up to a half at random."""
    share = BACKOFF_SHARE if "BackOff" in json.dumps([before[1], step[1]]) else SLACK_SHARE
    return SLACK_S + share * float(step[0])


def _event_differences(recorded: list[Any], simulated: list[Any]) -> list[str]:
    wanted = {tuple(row[:-1]): row[-1] for row in recorded}
    got = {tuple(row[:-1]): row[-1] for row in simulated}
    for rows in (wanted, got):
        for row in [row for row in rows if any(text in row[3] for text in CHANCE)]:
            del rows[row]
    lines = [f"only recorded x{wanted[row]}: {json.dumps(row)}" for row in wanted if row not in got]
    lines += [f"only simulated x{got[row]}: {json.dumps(row)}" for row in got if row not in wanted]
    for row, count in wanted.items():
        few, share = COUNTS.get(row[2], (1, 0.25))
        if row in got and abs(got[row] - count) > max(few, share * count):
            lines.append(f"recorded x{count}, simulated x{got[row]}: {json.dumps(row)}")
    return lines
