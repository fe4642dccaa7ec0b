"""Compares two summaries, subject by subject."""

from __future__ import annotations

import json
from typing import Any

# What a busy machine of two cores adds to a wait: seconds, and a share of the wait.
SLACK_S = 1.6
SLACK_SHARE = 0.12


def subjects(summary: dict[str, Any]) -> list[str]:
    """What can be compared: each object's histories, and the Events about each object."""
    return [*summary["objects"], *(f"events of {subject}" for subject in summary["events"])]


def differences(recorded: dict[str, Any], simulated: dict[str, Any], subject: str) -> list[str]:
    """In what the simulated subject differs, a line each; nothing where it is the same, or nobody recorded it."""
    if subject.startswith("events of "):
        name = subject.removeprefix("events of ")
        return _event_differences(recorded["events"].get(name, []), simulated["events"].get(name, []))
    resource = subject.partition("/")[0] + "/"
    if not any(each.startswith(resource) for each in recorded["objects"]):
        return []
    wanted = list(recorded["objects"].get(subject, []))
    left = list(simulated["objects"].get(subject, []))
    open_ = []
    for history in wanted:
        match = next((other for other in left if not _history_differences(history, other)), None)
        if match is None:
            open_.append(history)
        else:
            left.remove(match)
    lines = [] if len(open_) == len(left) else [f"{len(wanted)} objects recorded, {len(wanted) - len(open_) + len(left)} simulated"]
    for history, other in zip(open_, left, strict=False):
        lines += _history_differences(history, other)
    return lines


def _history_differences(recorded: list[Any], simulated: list[Any]) -> list[str]:
    for number, (wanted, got) in enumerate(zip(recorded, simulated, strict=False)):
        if wanted[1] != got[1]:
            only = {k: v for k, v in wanted[1].items() if k not in got[1] or got[1][k] != v}
            other = {k: v for k, v in got[1].items() if k not in wanted[1] or wanted[1][k] != v}
            return [f"step {number}: recorded +{wanted[0]} {json.dumps(only)}", f"         simulated +{got[0]} {json.dumps(other)}"]
        if number and abs(wanted[0] - got[0]) > SLACK_S + SLACK_SHARE * wanted[0]:
            return [f"step {number}: recorded after {wanted[0]} s, simulated after {got[0]} s: {json.dumps(wanted[1])}"]
    if len(recorded) != len(simulated):
        more, whose = (recorded, "recorded") if len(recorded) > len(simulated) else (simulated, "simulated")
        return [f"only {whose}: step {min(len(recorded), len(simulated))} and on, {json.dumps(more[min(len(recorded), len(simulated))])}"]
    return []


def _event_differences(recorded: list[Any], simulated: list[Any]) -> list[str]:
    wanted = {tuple(row[:-1]): row[-1] for row in recorded}
    got = {tuple(row[:-1]): row[-1] for row in simulated}
    lines = [f"only recorded x{wanted[row]}: {json.dumps(row)}" for row in wanted if row not in got]
    lines += [f"only simulated x{got[row]}: {json.dumps(row)}" for row in got if row not in wanted]
    for row, count in wanted.items():
        if row in got and abs(got[row] - count) > max(1, 0.25 * count):
            lines.append(f"recorded x{count}, simulated x{got[row]}: {json.dumps(row)}")
    return lines
