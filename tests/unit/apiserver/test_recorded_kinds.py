"""What each kind answers, and when its generation moves, as recorded on Kubernetes 1.36.3."""

import pytest
from api_world import ApiWorld, facts, without_empty

from kubesim.api.kinds import find_kind

ROWS = facts("kinds.jsonl")
# Kinds whose defaults are not modelled: stored as they come.
_UNDEFAULTED = (
    "cronjobs",
    "daemonsets",
    "horizontalpodautoscalers",
    "jobs",
    "networkpolicies",
    "replicationcontrollers",
)
_FIXED = ("uid", "resourceVersion", "creationTimestamp")


def _path(row):
    kind = find_kind(row["object"]["apiVersion"], row["object"]["kind"])
    root = f"/apis/{kind.api_version}" if kind.group else "/api/v1"
    return f"{root}/namespaces/rec-i3/{kind.plural}"


@pytest.fixture(params=ROWS, ids=[row["id"] for row in ROWS])
def created(request):
    """A kind's row, a server in which its object has just been created, and the answer to that."""
    world = ApiWorld("rec-i3")
    code, answer = world.ask("POST", _path(request.param), request.param["object"])
    assert code == 200, answer
    return request.param, world, answer


def _shown(obj):
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _FIXED}
    shown = {**obj, "metadata": metadata}
    for part in ("selector", "sessionAffinity", "clusterIP", "clusterIPs"):
        if obj["kind"] == "Service":
            shown["spec"] = {name: value for name, value in shown["spec"].items() if name != part}
    return without_empty(shown)


def test_a_new_object_is_stored_as_recorded(created):
    """Defaults, initial status, generation and finalizers are the recorded ones."""
    row, _, answer = created
    recorded = _shown(row["created"])
    found = _shown(answer)
    if row["id"] in _UNDEFAULTED:
        found, recorded = ({part: obj.get(part) for part in ("kind", "status")} for obj in (found, recorded))
    elif row["id"] == "pods":
        found, recorded = (
            {part: obj.get(part) for part in ("kind", "status", "metadata")} for obj in (found, recorded)
        )
        recorded["status"].pop("conditions", None)

    assert found == recorded


def test_a_put_of_what_is_there_writes_nothing(created):
    """The resourceVersion stays, and no watch hears of it."""
    row, world, _ = created
    _, before = world.ask("GET", _path(row) + "/x")
    revision = world.store.revision
    code, after = world.ask("PUT", _path(row) + "/x", before)

    assert (code, after) == (200, before)
    assert world.store.revision == revision


def test_the_generation_moves_with_the_spec_alone(created):
    """Generation when created, after a change of labels and after a change of the spec."""
    row, world, answer = created
    at_create, after_spec, after_labels = row["generations"]
    _, labelled = world.ask("PATCH", _path(row) + "/x", {"metadata": {"labels": {"z": "1"}}})
    assert answer["metadata"].get("generation") == at_create
    assert labelled["metadata"].get("generation") == after_labels
    if row["change"] is not None:
        code, changed = world.ask("PATCH", _path(row) + "/x", row["change"])
        assert code == 200, changed
        assert changed["metadata"].get("generation") == after_spec


@pytest.mark.parametrize(
    "query, expected", [("?dryRun=All", "deletedDry"), ("", "deleted")], ids=["dry run", "for real"]
)
def test_a_delete_answers_with_a_status_or_the_object(created, query, expected):
    """Which of the two, and how the object is marked, depends on the kind."""
    row, world, answer = created
    code, found = world.ask("DELETE", _path(row) + "/x" + query)
    recorded = row[expected]

    assert code == 200
    assert found["kind"] == recorded["kind"]
    if recorded["kind"] == "Status":
        assert found["details"] == {**recorded["details"], "uid": answer["metadata"]["uid"]}
    else:
        metadata = found["metadata"]
        assert ("deletionTimestamp" in metadata) is recorded["isDeleting"]
        assert metadata.get("deletionGracePeriodSeconds") == recorded.get("grace")
        assert metadata.get("finalizers") == recorded.get("finalizers")
    is_there = world.ask("GET", _path(row) + "/x")[0] == 200
    assert is_there is (bool(query) or "finalizers" in recorded)
