"""The kinds that are not workloads, against what Kubernetes 1.36.3 answered to the same requests.

tests/unit/api/facts/other_kinds.json holds one request a line, sent with dryRun=All: its objects, the causes of the
refusal (reason, field, message) or, where it was accepted, the object as it was stored.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubesim.api.defaults import default
from kubesim.api.defaults.service_addresses import drop_fields_of_old_type, resolve_addresses
from kubesim.api.kinds import find_kind
from kubesim.api.validation import validate_create, validate_status_update, validate_update

FACTS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "facts" / "other_kinds.json").read_text(encoding="utf-8")
)
# Go walks a map in any order; upstream interleaves metadata with the volume, which it validates twice.
_ANY_ORDER = {"a config map key has a format", "a broken label on a volume"}


def _causes(fact: dict[str, Any]) -> list[Any]:
    """What the API server does to one request up to its validation."""
    new, old = fact["new"], fact.get("old")
    kind = find_kind(new["apiVersion"], new["kind"])
    assert kind is not None
    new = default(kind, new)
    if old is None:
        if kind.kind == "Service":
            new, causes = resolve_addresses(new, None)
            if causes:
                return causes
        return validate_create(kind, new)
    kept = {name: old["metadata"][name] for name in ("creationTimestamp", "generation") if name in old["metadata"]}
    dropped = {
        name: value for name, value in new["metadata"].items() if name not in ("creationTimestamp", "generation")
    }
    metadata = {**dropped, **kept}
    if fact["verb"] == "status":
        return validate_status_update(kind, {**old, "metadata": metadata, "status": new["status"]}, old)
    new = {**new, "metadata": metadata}
    if "status" in old:
        new["status"] = old["status"]
    if kind.kind == "Service":
        new, causes = resolve_addresses(new, old)
        if causes:
            return causes
        new = drop_fields_of_old_type(new, old)
    return validate_update(kind, new, old)


@pytest.mark.parametrize("fact", FACTS, ids=[fact["id"] for fact in FACTS])
def test_a_request_is_refused_as_kubernetes_refuses_it(fact: dict[str, Any]) -> None:
    """Causes agree in reason, field, message, number and order; a request that was accepted has none."""
    got = [list(cause) for cause in _causes(fact)]

    if fact["id"] in _ANY_ORDER:
        assert sorted(got) == sorted(fact["causes"])
    else:
        assert got == fact["causes"]
