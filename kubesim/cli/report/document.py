"""The report for machines: one JSON or YAML document. Its fields are documented in docs/trace-format.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TextIO

from kubesim.cli.commands.version import KUBERNETES, VERSION
from kubesim.cli.report.finding import Finding
from kubesim.scenario.outcome import Check, Outcome, StepOutcome
from kubesim.users.report import Counts

FORMAT = "kubesim.dev/run/v1"


def write_document(finding: Finding, language: str, out: TextIO) -> None:
    """Write the document in `json` or `yaml`."""
    document = build_document(finding)
    if language == "json":
        json.dump(document, out, indent=2, ensure_ascii=False)
        out.write("\n")
        return
    import yaml

    # Through JSON, so that shared parts are written out and every text is a plain one.
    plain = json.loads(json.dumps(document))
    yaml.dump(plain, out, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=1 << 30)


def build_document(finding: Finding) -> dict[str, Any]:
    """The document as plain values. Spans and instants are whole nanoseconds, shares numbers from 0 to 1."""
    outcome, cluster = finding.outcome, finding.cluster
    return {
        "format": FORMAT,
        "kubesim": VERSION,
        "kubernetes": KUBERNETES,
        "name": outcome.name,
        "promise": outcome.promise,
        "seed": cluster.options.seed,
        "nodes": cluster.options.nodes,
        "traceDigest": cluster.trace.digest(),
        "virtualNs": outcome.end_ns,
        "healthy": outcome.is_met,
        "steps": [_step(step) for step in outcome.steps],
        "stopped": outcome.stopped or None,
        "notRun": list(outcome.not_run),
        "checks": _checks(outcome.checks),
        "requests": _requests(outcome),
        "writes": _writes(outcome),
        "notes": [*finding.notes, *outcome.notes],
        "objects": {kind: [_object(obj) for obj in found] for kind, found in finding.objects().items() if found},
    }


def _step(step: StepOutcome) -> dict[str, Any]:
    return {
        "title": step.title,
        "action": step.action or None,
        "subject": step.subject or None,
        "startNs": step.start_ns,
        "endNs": step.end_ns,
        "healedNs": step.healed_ns,
        "requests": None if step.counts is None else build_counts(step.counts),
        "recoveryNs": step.recovery_ns,
        "checks": _checks(step.checks),
    }


def _checks(checks: Sequence[Check]) -> list[dict[str, Any]]:
    return [{"text": check.text, "found": check.found, "met": check.is_met} for check in checks]


def build_counts(counts: Counts) -> dict[str, Any]:
    """Requests by their outcome."""
    return {
        "total": counts.total,
        "served": counts.served,
        "slow": counts.slow,
        "refused": counts.refused,
        "failed": counts.failed,
        "availability": round(counts.availability, 6),
    }


def _requests(outcome: Outcome) -> dict[str, Any] | None:
    requests = outcome.requests
    if requests is None:
        return None
    return {
        "service": requests.service,
        "ratePerSecond": requests.rate_per_second,
        **build_counts(requests.counts),
        "reasons": requests.reasons,
        "p50Ns": requests.p50_ns,
        "p99Ns": requests.p99_ns,
    }


def _writes(outcome: Outcome) -> dict[str, Any] | None:
    writes = outcome.writes
    if writes is None:
        return None
    return {
        "kept": writes.kept,
        "lost": list(writes.lost),
        "unknown": writes.unknown,
        "unknownKept": writes.unknown_kept,
    }


def _object(obj: dict[str, Any]) -> dict[str, Any]:
    """An object's identity and status; the trace has all of it."""
    metadata = obj["metadata"]
    return {
        "namespace": metadata.get("namespace"),
        "name": metadata["name"],
        "spec": {"nodeName": obj["spec"]["nodeName"]} if obj.get("spec", {}).get("nodeName") else {},
        "status": obj.get("status") or {},
    }
