"""The paths of an OpenAPI document: what can be done with each kind, and the parameters that there are.

Upstream: apiserver/pkg/endpoints/installer.go:registerResourceHandlers @v1.36
"""

from __future__ import annotations

from typing import Any, Final

from kubesim.api.kinds import ALL_KINDS, verbs_of
from kubesim.api.scheme import Kind
from kubesim.http.discovery import subresource_kind, subresource_verbs
from kubesim.http.openapi_schemas import Schemas

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_WRITE: Final = (("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"))
_LIST: Final = (
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
)
_DELETE: Final = (
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
)
# Verb → method, x-kubernetes-action, query parameters, whether there is a body.
_VERBS: Final[dict[str, tuple[str, str, tuple[tuple[str, str], ...], bool]]] = {
    "get": ("get", "get", (), False),
    "list": ("get", "list", _LIST, False),
    "create": ("post", "post", _WRITE, True),
    "update": ("put", "put", _WRITE, True),
    "patch": ("patch", "patch", (*_WRITE, ("force", "boolean")), True),
    "delete": ("delete", "delete", _DELETE, True),
    "deletecollection": ("delete", "deletecollection", (*_DELETE, *_LIST[1:8]), True),
}
_PATCHES: Final = tuple(
    f"application/{name}"
    for name in (
        "apply-patch+yaml",
        "json-patch+json",
        "merge-patch+json",
        "strategic-merge-patch+json",
    )
)
_COLLECTION: Final = ("list", "create", "deletecollection")
_OBJECT: Final = ("get", "update", "patch", "delete")
_SUBRESOURCE_SCHEMAS: Final = {
    "Binding": "io.k8s.api.core.v1.Binding",
    "Eviction": "io.k8s.api.policy.v1.Eviction",
    "Scale": "io.k8s.api.autoscaling.v1.Scale",
    "TokenRequest": "io.k8s.api.authentication.v1.TokenRequest",
}


def operations_of(group: str, version: str, schemas: Schemas, *, is_v3: bool) -> dict[str, Any]:
    """The paths of one version of a group; the schemas that they need are asked of `schemas`."""
    base = f"/apis/{group}/{version}" if group else f"/api/{version}"
    paths: dict[str, Any] = {}
    for kind in ALL_KINDS:
        if (kind.group, kind.version) != (group, version):
            continue
        schemas.reference(kind.schema)
        if "list" in verbs_of(kind):
            schemas.reference(f"{kind.schema}List")
        writer = _Writer(kind, schemas, is_v3=is_v3)
        root = f"{base}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{base}/{kind.plural}"
        if kind.namespaced and "list" in verbs_of(kind):
            paths[f"{base}/{kind.plural}"] = writer.path(("list",), kind.schema, is_named=False, is_everywhere=True)
        verbs = verbs_of(kind)
        paths[root] = writer.path([v for v in _COLLECTION if v in verbs], kind.schema, is_named=False)
        if any(verb in verbs for verb in _OBJECT):
            paths[f"{root}/{{name}}"] = writer.path([v for v in _OBJECT if v in verbs], kind.schema, is_named=True)
        for name in kind.subresources:
            if name in ("attach", "exec", "log", "portforward", "proxy"):
                continue
            of_kind = subresource_kind(kind, name)
            schema = _SUBRESOURCE_SCHEMAS.get(of_kind[2], kind.schema)
            paths[f"{root}/{{name}}/{name}"] = writer.path(
                subresource_verbs(name), schema, is_named=True, gvk=of_kind, subresource=name
            )
    return paths


class _Writer:
    """Writes the operations of one kind, in the words of v2 or v3."""

    def __init__(self, kind: Kind, schemas: Schemas, *, is_v3: bool) -> None:
        self._kind = kind
        self._schemas = schemas
        self._is_v3 = is_v3

    def path(
        self,
        verbs: Any,
        schema: str,
        *,
        is_named: bool,
        is_everywhere: bool = False,
        gvk: tuple[str, str, str] | None = None,
        subresource: str = "",
    ) -> dict[str, Any]:
        """One path: an operation a verb, and the parameters of all."""
        kind = self._kind
        found: dict[str, Any] = {}
        for verb in verbs:
            method, action, query, has_body = _VERBS[verb]
            group, version, name = gvk or (kind.group, kind.version, kind.kind)
            operation: dict[str, Any] = {
                "tags": [self._tag()],
                "operationId": self._identifier(verb, subresource, is_everywhere=is_everywhere),
                "parameters": [self._parameter(each, type_, "query") for each, type_ in query],
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": {"group": group, "kind": name, "version": version},
            }
            if has_body:
                self._add_body(operation, verb, schema)
            answer = f"{kind.schema}List" if verb == "list" else schema
            if verb in ("delete", "deletecollection"):
                answer = f"{_META}Status"
            operation["responses"] = {"200": self._answer(self._schemas.reference(answer))}
            found[method] = operation
        names = ["name"] if is_named else []
        if kind.namespaced and not is_everywhere:
            names.append("namespace")
        found["parameters"] = [self._parameter(each, "string", "path") for each in names]
        return found

    def _tag(self) -> str:
        group = self._kind.group.partition(".")[0] or "core"
        return f"{group}_{self._kind.version}"

    def _identifier(self, verb: str, subresource: str, *, is_everywhere: bool) -> str:
        kind = self._kind
        group = (kind.group.partition(".")[0] or "core").capitalize()
        words = {"get": "read", "update": "replace", "deletecollection": "deleteCollection"}
        scope = "Namespaced" if kind.namespaced and not is_everywhere else ""
        where = "ForAllNamespaces" if is_everywhere else subresource.capitalize()
        return f"{words.get(verb, verb)}{group}{kind.version.capitalize()}{scope}{kind.kind}{where}"

    def _add_body(self, operation: dict[str, Any], verb: str, schema: str) -> None:
        is_patch = verb == "patch"
        reference = self._schemas.patch() if is_patch else self._schemas.reference(schema)
        if verb.startswith("delete"):
            reference = self._schemas.reference(f"{_META}DeleteOptions")
        media = _PATCHES if is_patch else ("*/*",)
        if self._is_v3:
            operation["requestBody"] = {"content": {each: {"schema": reference} for each in media}}
        else:
            operation["consumes"] = list(media)
            operation["parameters"] = [{"name": "body", "in": "body", "schema": reference}, *operation["parameters"]]

    def _answer(self, reference: Any) -> Any:
        if self._is_v3:
            return {"description": "OK", "content": {"application/json": {"schema": reference}}}
        return {"description": "OK", "schema": reference}

    def _parameter(self, name: str, type_: str, where: str) -> Any:
        made: dict[str, Any] = {"name": name, "in": where}
        if where == "path":
            made["required"] = True
        typed = {"type": type_, "uniqueItems": True}
        return {**made, "schema": typed} if self._is_v3 else {**made, **typed}
