"""A comparison for machines: one JSON document. Spans and instants are whole nanoseconds from the first request."""

from __future__ import annotations

import json
from typing import Any, Final, TextIO

from kubesim.cli.commands.version import KUBERNETES, VERSION
from kubesim.cli.report.document import build_counts
from kubesim.comparison.outcome import Comparison, Side, Total

FORMAT: Final = "kubesim.dev/compare/v1"


def write_sides(found: Comparison, out: TextIO) -> None:
    """Write the document."""
    json.dump(build_sides(found), out, indent=2, ensure_ascii=False)
    out.write("\n")


def build_sides(found: Comparison) -> dict[str, Any]:
    """The document as plain values."""
    return {
        "format": FORMAT,
        "kubesim": VERSION,
        "kubernetesVersion": KUBERNETES,
        "name": found.name,
        "seed": found.seed,
        "nodes": found.nodes,
        "ratePerSecond": found.rate_per_second,
        "writePercent": found.write_percent,
        "operatorAfterNs": found.operator_after_ns,
        "virtualNs": found.end_ns,
        "faults": [
            {
                "title": row.title,
                "startNs": row.start_ns,
                "endNs": row.end_ns,
                "kubernetes": _side(row.kubernetes),
                "compose": _side(row.compose),
            }
            for row in found.rows
        ],
        "kubernetes": _total(found.kubernetes),
        "compose": _total(found.compose),
        "bucketNs": found.bucket_ns,
        "notes": list(found.notes),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "subject": side.subject or None,
        "requests": build_counts(side.counts),
        "recoveryNs": side.recovery_ns,
        "lostWrites": side.lost_writes,
        "byHand": [{"text": deed.text, "afterNs": deed.after_ns} for deed in side.by_hand],
        "notDone": side.without or None,
    }


def _total(total: Total) -> dict[str, Any]:
    return {
        "requests": build_counts(total.counts),
        "keptWrites": total.kept_writes,
        "lostWrites": total.lost_writes,
        "availability": list(total.series),
    }
