"""What the server has: groups, versions and resources, in the legacy and in the aggregated form.

Upstream: apiserver/pkg/endpoints/discovery, apiserver/pkg/endpoints/discovery/aggregated @v1.36
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec

from kubesim.api.kinds import ALL_KINDS, verbs_of
from kubesim.api.scheme import Kind
from kubesim.http.negotiation import JSON, clauses
from kubesim.http.statuses import Reply, json

_AGGREGATED: Final = "APIGroupDiscoveryList"
# The group and version in which etcd has a kind, where it is not the kind's own.
_STORED_IN: Final = {
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Event": "/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1beta1",
    "MutatingAdmissionPolicy": "admissionregistration.k8s.io/v1beta1",
    "MutatingAdmissionPolicyBinding": "admissionregistration.k8s.io/v1beta1",
}
_STATUS_VERBS: Final = ("get", "patch", "update")
Value = dict[str, Any]


class _Subresource(NamedTuple):
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""
    kind: str = ""


_SUBRESOURCES: Final[dict[str, _Subresource]] = {
    "approval": _Subresource(_STATUS_VERBS),
    "attach": _Subresource(("create", "get"), "", "v1", "PodAttachOptions"),
    "binding": _Subresource(("create",), "", "v1", "Binding"),
    "ephemeralcontainers": _Subresource(_STATUS_VERBS),
    "eviction": _Subresource(("create",), "policy", "v1", "Eviction"),
    "exec": _Subresource(("create", "get"), "", "v1", "PodExecOptions"),
    "finalize": _Subresource(("update",)),
    "log": _Subresource(("get",)),
    "portforward": _Subresource(("create", "get"), "", "v1", "PodPortForwardOptions"),
    "proxy": _Subresource(("create", "delete", "get", "patch", "update"), "", "v1", "{}ProxyOptions"),
    "resize": _Subresource(_STATUS_VERBS),
    "scale": _Subresource(_STATUS_VERBS, "autoscaling", "v1", "Scale"),
    "status": _Subresource(_STATUS_VERBS),
    "token": _Subresource(("create",), "authentication.k8s.io", "v1", "TokenRequest"),
}


def subresource_kind(kind: Kind, name: str) -> tuple[str, str, str]:
    """Group, version and kind that a subresource speaks in."""
    row = _SUBRESOURCES[name]
    if not row.kind:
        return kind.group, kind.version, kind.kind
    return row.group, row.version, row.kind.format(kind.kind)


def subresource_verbs(name: str) -> tuple[str, ...]:
    """The verbs of a subresource."""
    return _SUBRESOURCES[name].verbs


@cache
def group_versions() -> dict[str, tuple[str, ...]]:
    """The versions of every group, the preferred one first."""
    found: dict[str, dict[str, None]] = {}
    for kind in ALL_KINDS:
        found.setdefault(kind.group, {})[kind.version] = None
    return {group: tuple(versions) for group, versions in found.items()}


def _kinds(group: str, version: str) -> Iterator[Kind]:
    rows = (kind for kind in ALL_KINDS if kind.group == group and kind.version == version)
    yield from sorted(rows, key=lambda kind: kind.plural)


# --- legacy ---


@cache
def resource_list(group: str, version: str) -> Value:
    """`APIResourceList` of one version, which has subresources as rows of their own."""
    resources = []
    for kind in _kinds(group, version):
        row: Value = {
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(verbs_of(kind)),
        }
        if kind.short_names:
            row["shortNames"] = list(kind.short_names)
        if kind.categories:
            row["categories"] = list(kind.categories)
        if "watch" in row["verbs"]:
            row["storageVersionHash"] = _storage_version_hash(kind)
        resources.append(row)
        for name in kind.subresources:
            of_group, of_version, of_kind = subresource_kind(kind, name)
            part: Value = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
            if (of_group, of_version) != (kind.group, kind.version):
                part |= {"group": of_group, "version": of_version}
            resources.append({**part, "kind": of_kind, "verbs": list(subresource_verbs(name))})
    group_version = f"{group}/{version}" if group else version
    head = {"kind": "APIResourceList"} if not group else {"kind": "APIResourceList", "apiVersion": "v1"}
    return {**head, "groupVersion": group_version, "resources": resources}


def _storage_version_hash(kind: Kind) -> str:
    """Upstream: apiserver/pkg/endpoints/discovery/storageversionhash.go @v1.36"""
    name = f"{_STORED_IN.get(kind.kind, f'{kind.group}/{kind.version}')}/{kind.kind}"
    return base64.b64encode(hashlib.sha256(name.encode()).digest()[:8]).decode()


def group(name: str) -> Value:
    """`APIGroup`."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)}


def _group(name: str) -> Value:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in group_versions()[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def group_list() -> Value:
    """`APIGroupList`: all but core."""
    groups = [_group(name) for name in group_versions() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


# --- aggregated ---


def _aggregated(is_core: bool, version: str) -> Value:
    items = []
    for name, versions in group_versions().items():
        if bool(name) is is_core:
            continue
        items.append(
            {
                "metadata": {"name": name} if name else {},
                "versions": [
                    {
                        "version": each,
                        "resources": [_resource(kind) for kind in _kinds(name, each)],
                        "freshness": "Current",
                    }
                    for each in versions
                ],
            }
        )
    return {"kind": _AGGREGATED, "apiVersion": f"apidiscovery.k8s.io/{version}", "metadata": {}, "items": items}


def _resource(kind: Kind) -> Value:
    row: Value = {
        "resource": kind.plural,
        "responseKind": {"group": "", "version": "", "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(verbs_of(kind)),
    }
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    if kind.subresources:
        row["subresources"] = [_subresource(kind, name) for name in kind.subresources]
    return row


def _subresource(kind: Kind, name: str) -> Value:
    row = _SUBRESOURCES[name]
    # Group and version are said where they are not those of the list.
    is_other = (row.group, row.version) not in (("", ""), (kind.group, kind.version))
    group, version = (row.group, row.version) if is_other else ("", "")
    return {
        "subresource": name,
        "responseKind": {"group": group, "version": version, "kind": row.kind.format(kind.kind) or kind.kind},
        "verbs": list(subresource_verbs(name)),
    }


@cache
def _aggregated_reply(is_core: bool, version: str) -> Reply:
    body = msgspec.json.encode(_aggregated(is_core, version))
    headers = {"ETag": f'"{_hash(body.decode())}"', "Vary": "Accept", "Cache-Control": "public"}
    return Reply(200, body, f"{JSON};g=apidiscovery.k8s.io;v={version};as={_AGGREGATED}", headers)


def _hash(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest().upper()


def answer(path: str, accept: str, if_none_match: str, address: str) -> Reply | None:
    """The answer to a path of discovery, None where it is another's."""
    parts = [part for part in path.split("/") if part]
    if len(parts) == 1 and parts[0] in ("api", "apis"):
        is_core = parts[0] == "api"
        for media, parameters in clauses(accept):
            if media in (JSON, "*/*") and parameters.get("as", "") == "":
                break
            if media == JSON and parameters.get("as") == _AGGREGATED and parameters.get("v") in ("v2", "v2beta1"):
                reply = _aggregated_reply(is_core, parameters["v"])
                return Reply(304, b"", reply.media, reply.headers) if if_none_match == reply.headers["ETag"] else reply
        if is_core:
            client = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
            return json({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": client})
        return json(group_list())
    if len(parts) == 2 and parts[0] == "apis" and parts[1] in group_versions():
        return json(group(parts[1]))
    name = parts[1] if len(parts) == 3 and parts[0] == "apis" else "" if len(parts) == 2 and parts[0] == "api" else None
    if name is not None and parts[-1] in group_versions().get(name, ()):
        return json(resource_list(name, parts[-1]))
    return None
