"""JSON schemas of definitions, from the table and the words of `kubesim.api.schema`.

Upstream: api/openapi-spec, kube-openapi/pkg/builder3 @v1.36
"""

from __future__ import annotations

from typing import Any, Final, final

from kubesim.api.kinds import ALL_KINDS
from kubesim.api.schema.documentation import documentation
from kubesim.api.schema.table import Field, definition

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_SCALARS: Final[dict[str, Any]] = {
    "string": {"type": "string"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "number": {"type": "number", "format": "double"},
    "boolean": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
    "any": {"type": "object"},
}
_NAMED: Final[dict[str, tuple[str, Any]]] = {
    "quantity": ("io.k8s.apimachinery.pkg.api.resource.Quantity", {"type": "string"}),
    "int-or-string": (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    ),
    "time": (f"{_META}Time", {"type": "string", "format": "date-time"}),
    "microtime": (f"{_META}MicroTime", {"type": "string", "format": "date-time"}),
    "patch": (f"{_META}Patch", {"type": "object"}),
}
_KINDS: Final = {kind.schema: kind for kind in ALL_KINDS}


@final
class Schemas:
    """Collects the schemas that are referred to; `prefix` is where references point."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._is_v3 = "components" in prefix
        self._found: dict[str, Any] = {}
        self._wanted: list[str] = []

    def reference(self, name: str) -> Any:
        """A reference to a definition, which is then among those found."""
        if name not in self._found:
            self._found[name] = None
            self._wanted.append(name)
        return {"$ref": self._prefix + name}

    def patch(self) -> Any:
        """A reference to what stands for any patch."""
        return self._named("patch")

    def found(self) -> dict[str, Any]:
        """All schemas by name."""
        while self._wanted:
            name = self._wanted.pop()
            self._found[name] = self._schema(name)
        return dict(sorted(self._found.items()))

    def _schema(self, name: str) -> Any:
        words = documentation(name)
        made: dict[str, Any] = {"description": words.text} if words.text else {}
        for scalar, schema in _NAMED.values():
            if scalar == name:
                return self._scalar(made, scalar, schema)
        row = definition(name)
        made["type"] = "object"
        if row is not None:
            if row.required:
                made["required"] = list(row.required)
            if row.fields:
                made["properties"] = {
                    key: self._property(field, words.fields.get(key, ""), words.values.get(key))
                    for key, field in row.fields.items()
                }
            if row.map_type:
                made["x-kubernetes-map-type"] = row.map_type
        known = self._group_version_kinds(name)
        if known:
            made["x-kubernetes-group-version-kind"] = known
        return made

    def _scalar(self, made: dict[str, Any], name: str, schema: Any) -> Any:
        if not self._is_v3 and "oneOf" in schema:
            schema = {"type": "string", "format": schema["format"]}
        if self._is_v3 and name.endswith(".Quantity"):
            schema = {"oneOf": [{"type": "string"}, {"type": "number"}]}
        return {**made, **schema}

    @staticmethod
    def _group_version_kinds(name: str) -> list[dict[str, str]]:
        kind = _KINDS.get(name) or _KINDS.get(name.removesuffix("List"))
        if kind is not None:
            listed = f"{kind.kind}List" if name.endswith("List") and name not in _KINDS else kind.kind
            return [{"group": kind.group, "kind": listed, "version": kind.version}]
        package, _, word = name.rpartition(".")
        if name in (f"{_META}DeleteOptions", f"{_META}Status"):
            return [{"group": "", "kind": word, "version": "v1"}]
        if word in ("Scale", "Eviction", "TokenRequest", "Binding"):
            group, version = package.removeprefix("io.k8s.api.").split(".")
            full = {"authentication": "authentication.k8s.io", "core": ""}.get(group, group)
            return [{"group": full, "kind": word, "version": version}]
        return []

    def _property(self, field: Field, text: str, values: list[str] | None) -> Any:
        made: dict[str, Any] = {"description": text} if text else {}
        core = self._of_type(field.type, field.ref, field.items, field.items_ref)
        if "$ref" in core and self._is_v3:
            made["allOf"] = [core]
        else:
            made |= core
        if values:
            made["enum"] = values
        for key, value in (
            ("x-kubernetes-list-map-keys", list(field.map_keys)),
            ("x-kubernetes-list-type", field.list_type),
            ("x-kubernetes-map-type", field.map_type if field.type == "map" else ""),
            ("x-kubernetes-patch-merge-key", field.merge_key),
            ("x-kubernetes-patch-strategy", field.patch_strategy),
        ):
            if value:
                made[key] = value
        return made

    def _of_type(self, type_: str, ref: str, items: str, items_ref: str) -> Any:
        if type_ == "object":
            return self.reference(ref)
        if type_ == "array":
            return {"type": "array", "items": self._of_type(items, items_ref, "string", "")}
        if type_ == "map":
            return {"type": "object", "additionalProperties": self._of_type(items, items_ref, "string", "")}
        if type_ in _NAMED:
            return self._named(type_)
        return _SCALARS[type_]

    def _named(self, type_: str) -> Any:
        return self.reference(_NAMED[type_][0])
