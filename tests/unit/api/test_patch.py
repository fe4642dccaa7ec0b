"""Patches against what Go's strategicpatch and evanphx/json-patch make of them (tests/unit/api/facts/patch.json)."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.api.patch import (
    apply_json_patch,
    apply_merge_patch,
    apply_strategic_merge_patch,
    plan_two_way_merge_patch,
)
from kubesim.api.patch.merge_patch import without_null_fields
from kubesim.errors import ApiError

FACTS: Any = json.loads((Path(__file__).parent / "facts" / "patch.json").read_text())
DEFINITIONS = {
    "Pod": "io.k8s.api.core.v1.Pod",
    "Service": "io.k8s.api.core.v1.Service",
    "ServiceAccount": "io.k8s.api.core.v1.ServiceAccount",
    "Deployment": "io.k8s.api.apps.v1.Deployment",
}
POD = DEFINITIONS["Pod"]


def facts(kind: str) -> list[Any]:
    """The rows of one kind of patch, each named by its patch."""
    rows = [row for row in FACTS["rows"] if row["kind"] == kind]
    return [pytest.param(row, id=f"{at} {json.dumps(row.get('patch', ''))[:80]}") for at, row in enumerate(rows)]


def outcome(row: Any) -> tuple[Any, str]:
    """What our function makes of a row: the result without null fields, or the error's text."""
    original, patch = FACTS["objects"][row["from"]], row["patch"]
    before = deepcopy((original, patch))
    try:
        if row["kind"] == "strategic":
            result = apply_strategic_merge_patch(original, patch, DEFINITIONS[row["schema"]])
        elif row["kind"] == "merge":
            result = apply_merge_patch(original, patch)
        else:
            result = apply_json_patch(original, patch)
    except ApiError as error:
        return None, str(error)
    assert (original, patch) == before, "changed in place"
    return without_null_fields(result), ""


@pytest.mark.parametrize("row", facts("strategic"))
def test_a_strategic_merge_patch_does_what_go_does(row: Any) -> None:
    """Same object, list order included, or the same error."""
    result, error = outcome(row)

    if "error" in row and "lists of lists" in row["error"]:
        assert error == "the server rejected our request due to an error in our request"
    else:
        assert (result, error) == (without_null_fields(row.get("result")), row.get("error", ""))


@pytest.mark.parametrize("row", facts("merge"))
def test_a_merge_patch_does_what_go_does(row: Any) -> None:
    """RFC 7386 as evanphx/json-patch has it."""
    assert outcome(row) == (without_null_fields(row["result"]), "")


@pytest.mark.parametrize("row", facts("json"))
def test_a_json_patch_does_what_go_does(row: Any) -> None:
    """RFC 6902 as evanphx/json-patch has it; every failure is the same 422 to the client."""
    result, error = outcome(row)

    if "error" in row:
        assert error == "the server rejected our request due to an error in our request"
    else:
        assert result == without_null_fields(row["result"])


@pytest.mark.parametrize("row", facts("diff"))
def test_a_two_way_patch_is_the_one_that_go_makes(row: Any) -> None:
    """CreateTwoWayMergePatch, directives included."""
    original, modified = FACTS["objects"][row["from"]], FACTS["objects"][row["to"]]

    if "error" in row:
        with pytest.raises(ApiError) as caught:
            plan_two_way_merge_patch(original, modified, DEFINITIONS[row["schema"]])
        assert str(caught.value) == row["error"]
    else:
        assert plan_two_way_merge_patch(original, modified, DEFINITIONS[row["schema"]]) == row["result"]


@pytest.mark.parametrize(
    ("patch", "code", "reason", "message"),
    [
        ([1], 400, "BadRequest", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ({"$patch": "odd"}, 500, "", "unknown patch type: odd in map: map[$patch:odd]"),
        ({"metadata": {"$setElementOrder": []}}, 400, "BadRequest", "invalid patch format of setElementOrder list"),
        ({"metadata": {"$deleteFromPrimitiveList": []}}, 400, "BadRequest", "invalid patch format of primitive list"),
        ({"spec": {"$retainKeys": "x"}}, 400, "BadRequest", "invalid patch format of retainKeys"),
        (
            {"metadata": {"finalizers": [[]]}},
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
        ),
    ],
    ids=["not an object", "unknown directive", "order of nothing", "deletion from nothing", "keys", "list of lists"],
)
def test_a_malformed_strategic_patch_gets_the_status_of_the_real_server(
    patch: Any, code: int, reason: str, message: str
) -> None:
    """interpretStrategicMergePatchError; the unknown directive was also seen on a real 1.36.3."""
    with pytest.raises(ApiError) as caught:
        apply_strategic_merge_patch({"metadata": {"finalizers": []}, "spec": {}}, patch, POD)

    assert (caught.value.code, caught.value.reason, caught.value.message) == (code, reason, message)


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        (
            {"op": "add"},
            400,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        ([3], 400, "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
        (
            [{}] * 10_001,
            413,
            "Request entity is too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
        ),
        (
            [{"op": "test", "path": "/a", "value": 1}],
            422,
            "the server rejected our request due to an error in our request",
        ),
    ],
    ids=["not a list", "not operations", "too long", "failing test"],
)
def test_a_malformed_json_patch_gets_the_status_of_the_real_server(patch: Any, code: int, message: str) -> None:
    """patch.go:applyJSPatch; the first and last were also seen on a real 1.36.3."""
    with pytest.raises(ApiError) as caught:
        apply_json_patch({}, patch)

    assert (caught.value.code, caught.value.message) == (code, message)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (None, "Invalid JSON Patch"),
        ("x", "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}"),
    ],
)
def test_a_malformed_merge_patch_is_a_bad_request(patch: Any, message: str) -> None:
    """Only objects merge."""
    with pytest.raises(ApiError) as caught:
        apply_merge_patch({}, patch)

    assert (caught.value.code, caught.value.message) == (400, message)


def condition(kind: str, status: str) -> dict[str, Any]:
    """A Pod condition."""
    return {"type": kind, "status": status}


OBJECT: dict[str, Any] = {
    "metadata": {"name": "p", "labels": {"a": "1"}, "finalizers": ["x", "y"]},
    "spec": {"containers": [{"name": "a", "image": "i", "env": [{"name": "A", "value": "1"}]}, {"name": "b"}]},
    "status": {"phase": "Running", "conditions": [condition("Ready", "True"), condition("Init", "True")]},
}


@pytest.mark.parametrize(
    "patch",
    [
        {},
        {"metadata": {}},
        {"metadata": {"labels": {"a": "1", "gone": None}}},
        {"metadata": {"finalizers": ["y"], "$setElementOrder/finalizers": ["x", "y"]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["z"]}},
        {
            "spec": {
                "containers": [{"name": "a", "env": [{"name": "A", "value": "1"}]}, {"name": "c", "$patch": "delete"}]
            }
        },
        {
            "status": {
                "$setElementOrder/conditions": [{"type": "Ready"}, {"type": "Init"}],
                "conditions": [condition("Init", "True")],
            }
        },
    ],
)
def test_a_patch_that_changes_nothing_returns_the_object_itself(patch: Any) -> None:
    """Identity tells the API server that there is nothing to store."""
    assert apply_strategic_merge_patch(OBJECT, patch, POD) is OBJECT


def test_the_other_kinds_return_the_object_itself_too() -> None:
    """Merge and JSON patches without effect."""
    assert apply_merge_patch(OBJECT, {"metadata": {"labels": {"a": "1"}, "x": None}}) is OBJECT
    assert apply_json_patch(OBJECT, []) is OBJECT
    assert apply_json_patch(OBJECT, [{"op": "replace", "path": "/status/phase", "value": "Running"}]) is OBJECT
    assert apply_json_patch(OBJECT, [{"op": "test", "path": "/metadata/name", "value": "p"}]) is OBJECT
    assert apply_strategic_merge_patch(OBJECT, None, POD) is OBJECT


def test_what_a_patch_does_not_touch_is_shared() -> None:
    """Path copying: only the way to the change is new."""
    changed = {"status": {"conditions": [condition("Ready", "False")]}}
    patched = apply_strategic_merge_patch(OBJECT, changed, POD)
    by_json = apply_json_patch(OBJECT, [{"op": "remove", "path": "/spec/containers/0/env"}])

    assert patched["spec"] is OBJECT["spec"]
    assert patched["status"]["conditions"][1] is OBJECT["status"]["conditions"][1]
    assert by_json["spec"]["containers"][1] is OBJECT["spec"]["containers"][1]
    assert by_json["status"] is OBJECT["status"]


def test_true_and_one_are_different_values() -> None:
    """JSON has booleans and numbers; Python counts one among the other."""
    assert apply_merge_patch({"x": 1}, {"x": True})["x"] is True
    assert (
        apply_strategic_merge_patch({"spec": {"hostNetwork": 1}}, {"spec": {"hostNetwork": True}}, POD)["spec"][
            "hostNetwork"
        ]
        is True
    )
    with pytest.raises(ApiError):
        apply_json_patch({"x": True}, [{"op": "test", "path": "/x", "value": 1}])


names_ = st.lists(st.sampled_from("abcde"), unique=True)
container = st.fixed_dictionaries(
    {"image": st.sampled_from("xy")},
    optional={
        "args": st.lists(st.sampled_from("pq")),
        "env": names_.map(lambda keys: [{"name": key, "value": "v"} for key in keys]),
    },
)


@st.composite
def pods(draw: st.DrawFn) -> dict[str, Any]:
    """Pods whose lists merge by key, by value and not at all."""
    containers = [{"name": name, **draw(container)} for name in draw(names_)]
    metadata = draw(
        st.fixed_dictionaries(
            {}, optional={"labels": st.dictionaries(st.sampled_from("kl"), st.sampled_from("12")), "finalizers": names_}
        )
    )
    return {"metadata": metadata, "spec": {"containers": containers}}


def unordered(value: Any) -> Any:
    """The value with finalizers sorted: their order alone is no difference to upstream either."""
    finalizers = value["metadata"].get("finalizers")
    metadata = value["metadata"] if finalizers is None else {**value["metadata"], "finalizers": sorted(finalizers)}
    return {**value, "metadata": metadata}


@given(pods(), pods())
def test_a_planned_patch_leads_to_the_modified_object(original: dict[str, Any], modified: dict[str, Any]) -> None:
    """Applying the difference gives what it was taken for, in the order it had."""
    patch = plan_two_way_merge_patch(original, modified, POD)

    assert unordered(apply_strategic_merge_patch(original, patch, POD)) == unordered(modified)


@given(pods())
def test_an_object_does_not_differ_from_itself(pod: dict[str, Any]) -> None:
    """An equal copy gives the empty patch."""
    assert plan_two_way_merge_patch(pod, deepcopy(pod), POD) == {}
