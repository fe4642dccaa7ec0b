"""Managed fields, server-side apply, dry runs and field validation: one long session with a real API server, replayed.

Recorded by `record_fields.py` on Kubernetes 1.36.3 with controllers and scheduler standing still.
"""

import json
import re
from functools import cache

import pytest
import yaml
from api_world import ApiWorld, facts, http_request, without_empty

from kubesim.apiserver.request_options import manager_of_agent
from kubesim.apiserver.server import Identity
from kubesim.errors import ApiError

ROWS = facts("fields.jsonl")
NAMESPACE = "rec-fields"
# A warning about the kind itself, which the HTTP layer gives.
_OF_HTTP = "is deprecated in v1.33+"
_VOLATILE = ("uid", "resourceVersion", "creationTimestamp", "selfLink", "continue")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class _Pairs(list):
    """An object's fields as they stand in a text."""


def _settled(value, path, found):
    """The value as Go decodes it: a map that comes twice goes into the same map."""
    if isinstance(value, _Pairs):
        result = {}
        for name, item in value:
            where = f"{path}.{name}" if path else name
            if name in result:
                found.append(f'duplicate field "{where}"')
            new, before = _settled(item, where, found), result.get(name)
            result[name] = {**before, **new} if isinstance(before, dict) else new
        return result
    return (
        [_settled(item, f"{path}[{at}]", found) for at, item in enumerate(value)] if isinstance(value, list) else value
    )


def _body(body, patch):
    """A body and what stands twice in its text."""
    if not isinstance(body, str):
        return body, ()
    if patch != "apply-patch":
        found = []
        return _settled(json.loads(body, object_pairs_hook=_Pairs), "", found), tuple(found)
    found = []
    node = yaml.compose(body)
    stack = [node]
    while stack:
        mapping = stack.pop()
        seen = set()
        for key, value in mapping.value:
            if key.value in seen:
                found.append(f'line {key.start_mark.line + 1}: key "{key.value}" already set in map')
            seen.add(key.value)
            if isinstance(value, yaml.MappingNode):
                stack.append(value)
    return yaml.safe_load(body), tuple(found)


@cache
def replayed():
    """For each row: code, answer, warnings, and whether the object's resourceVersion has moved since it was last seen."""
    world = ApiWorld(NAMESPACE)
    answers = []
    versions = {}
    for row in ROWS:
        patch = row.get("type", "merge-patch")
        value, duplicates = _body(row.get("body"), patch)
        request = http_request(row["method"], row["path"], value, patch, duplicates)
        identity = Identity("kubernetes-admin", manager=manager_of_agent(row["agent"]), sees_owners=True)
        try:
            code, answer = 200, world.do(request, identity)
            if row["method"] != "GET":
                world.loop.run_until(world.loop.now_ns + 1_000_000_000)
        except ApiError as error:
            code, answer = error.code, error.status()
        answers.append((code, answer, world.server.warnings, _moved(versions, row["path"], answer)))
    return answers


def _moved(versions, path, answer):
    """Whether this object's revision is another than the last time."""
    version = answer.get("metadata", {}).get("resourceVersion")
    key = path.partition("?")[0].removesuffix("/status").removesuffix("/scale")
    if "items" in answer:
        return False
    moved = version is not None and versions.get(key) not in (None, version)
    if version is not None:
        versions[key] = version
    return moved


@cache
def recorded_moves():
    """What `_moved` says of the real server's answers."""
    versions = {}
    return [_moved(versions, row["path"], row["answer"]) for row in ROWS]


@pytest.mark.parametrize("at", range(len(ROWS)), ids=[row["id"] for row in ROWS])
def test_a_request_about_fields_is_answered_as_recorded(at):
    """Code, owners with the order of their entries, warnings, and whether anything was written are the real server's."""
    recorded = ROWS[at]
    code, answer, warnings, moved = replayed()[at]

    assert code == (200 if recorded["code"] < 300 else recorded["code"]), answer
    if code >= 400:
        assert _refusal(answer) == _refusal(recorded["answer"])
        return
    assert _owners(answer) == _owners(recorded["answer"])
    assert warnings == [text for text in recorded.get("warnings", ()) if _OF_HTTP not in text]
    assert moved == recorded_moves()[at]
    assert _content(answer) == _content(recorded["answer"])


def _owners(answer):
    """The entries, each with whether it has a time."""
    entries = answer.get("metadata", {}).get("managedFields") or []
    return [{**entry, "time": bool(entry.get("time"))} for entry in entries]


def _refusal(status):
    """The refusal without what differs from run to run: a patched object that is shown, the order of causes."""
    message = status["message"]
    if "patch: Invalid value" in message:
        return message.rpartition(": ")[2] if "strict" not in message else message.rpartition("strict decoding")[2]
    message = message.partition("\n@@")[0].partition("\n  core.PodSpec")[0]
    causes = [
        (cause.get("field"), cause["message"].partition("\n")[0])
        for cause in status.get("details", {}).get("causes", ())
    ]
    return status.get("reason"), message, sorted(causes, key=str)


def _content(answer):
    """What is not the run's own; a Node's ports, which Go prints as zero, are never written here."""
    if answer.get("kind") == "Status":
        return {part: answer.get(part) for part in ("kind", "status")}
    shown = {part: value for part, value in answer.items() if part not in ("metadata", "items")}
    if "status" in shown:
        shown["status"] = {name: value for name, value in shown["status"].items() if name != "daemonEndpoints"}
    metadata = {name: value for name, value in answer["metadata"].items() if name not in (*_VOLATILE, "managedFields")}
    text = _TIME.sub("TIME", json.dumps(without_empty({**shown, "metadata": metadata})))
    text = re.sub(r"kube-api-access-\w{5}", "kube-api-access", text)
    return json.loads(re.sub(r'"10\.\d+\.\d+\.\d+"', '"ADDRESS"', text))
