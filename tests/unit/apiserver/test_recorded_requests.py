"""The requests of one long session with a real API server, replayed against ours.

Recorded on Kubernetes 1.36.3: each row is a request and the answer's code with the Status (reason, message, details)
or the object. Requests that are about HTTP itself, RBAC, quota or server-side apply are left out.
"""

import json
from functools import cache

import pytest
from api_world import ApiWorld, facts, without_empty, without_revisions

ROWS = facts("requests.jsonl")
_FIXED = ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
_CERTIFICATES = "kube-root-ca.crt"


@cache
def replayed():
    """The answers to all requests, each with what was recorded in our server's uids and revisions."""
    world = ApiWorld("rec-i")
    world.make("ConfigMap", _CERTIFICATES, "rec-i")
    ours = {}
    answers = []
    for row in ROWS:
        told = json.loads(_translated(json.dumps(row), ours))
        code, answer = world.ask(row["method"], row["path"], told.get("body"), row.get("type", "merge-patch"))
        recorded = (row.get("answer") or {}).get("metadata") or {}
        if code < 400 and "uid" in recorded and "uid" in answer.get("metadata", {}):
            for field in ("uid", "resourceVersion"):
                ours[f'"{recorded[field]}"'] = f'"{answer["metadata"][field]}"'
                if field == "uid":
                    ours[recorded[field]] = answer["metadata"][field]
        answers.append((json.loads(_translated(json.dumps(row), ours)), code, answer))
    return answers


def _translated(text, names):
    for theirs, mine in names.items():
        text = text.replace(theirs, mine)
    return text


def _refusal(status):
    shown = {name: status[name] for name in ("reason", "message", "details") if name in status}
    return json.loads(without_revisions(json.dumps(without_empty(shown))))


@pytest.mark.parametrize("at", range(len(ROWS)), ids=[row["id"] for row in ROWS])
def test_a_request_is_answered_as_recorded(at):
    """The code is the same; a refusal has the same words and causes; an object the same metadata and content."""
    row, code, answer = replayed()[at]

    assert code == (200 if row["code"] < 300 else row["code"]), answer
    if code >= 400:
        expected = _refusal(row["status"])
        found = _refusal(answer)
        if "message" not in expected:
            # The patched object is shown in Go's order of fields.
            del found["message"], found["details"]["causes"][0]["message"]
        assert found == expected
    elif "answer" in row:
        _assert_same_object(answer, row["answer"])


def _assert_same_object(found, recorded):
    for part, value in recorded.items():
        if part == "metadata":
            assert _metadata(found["metadata"]) == _metadata(value)
        elif part == "items":
            assert [item["metadata"]["name"] for item in found["items"]] == [item["metadata"]["name"] for item in value]
        elif part == "spec" and found["kind"] == "Pod":
            assert _without_token(without_empty(found[part])) == _without_token(without_empty(value))
        elif part not in ("status", "code") or found["kind"] == "Status":
            assert without_empty(found.get(part, {})) == without_empty(value)


def _metadata(metadata):
    """What two servers can have in common; controllers were at work on the real one."""
    shown = {name: value for name, value in metadata.items() if name not in (*_FIXED, "annotations")}
    if "generateName" in shown:
        del shown["name"]
    for field in ("deletionTimestamp",):
        if field in metadata:
            shown[field] = "set"
    return shown


def _without_token(spec):
    """The spec with the token volume's random name replaced."""
    text = json.dumps(spec)
    start = text.find("kube-api-access-")
    name = text[start : start + len("kube-api-access-") + 5]
    return json.loads(text.replace(name, "kube-api-access"))
