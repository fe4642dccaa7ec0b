"""Makes `definitions.json` and `documentation.json.xz` from upstream's OpenAPI document and Go types.

    python -m kubesim.api.schema.generate PATH/TO/swagger.json PATH/TO/k8s.io/api PATH/TO/k8s.io/apimachinery

The Go sources give what the document does not say: the names of string types that error texts print
(`v1.RestartPolicy`), and which fields an encoded object always has. The same input gives the same bytes.
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from pathlib import Path
from typing import Any

from kubesim.api.schema.table import TYPES, go_type_of, usual_presence

_SCALARS = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "q",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "x",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "t",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "u",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "a",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": "a",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "a",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "a",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "a",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "a",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "a",
}
_FORMATS = {
    ("string", ""): "s",
    ("string", "byte"): "y",
    ("integer", "int32"): "i",
    ("integer", "int64"): "l",
    ("number", "double"): "n",
    ("boolean", ""): "b",
    ("array", ""): "v",
}
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_GO_FIELD = re.compile(r'^\t(?:(\w+)[ \t]+)?([\w.*\[\]]+)[ \t]+`[^`]*json:"([^"]*)"', re.MULTILINE)

# Go struct, by its OpenAPI name → JSON field → type as Go prints it, and the code of its presence.
GoTypes = dict[str, dict[str, tuple[str, str]]]


def _code(schema: dict[str, Any], index: dict[str, int]) -> str:
    """The short code of a schema: a letter, then the element's code or the number of the definition referred to."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        return _SCALARS.get(name) or f"o{index[name]}"
    if schema["type"] == "array":
        return "v" + (_code(schema["items"], index) if "items" in schema else "")
    if schema["type"] == "object":
        element = _code(schema["additionalProperties"], index)
        return "m" + (element if element[0] != "v" else "v")
    return _FORMATS[schema["type"], schema.get("format", "")]


def _go_types(folders: list[Path]) -> GoTypes:
    """What the Go sources below these folders say of structs."""
    structs: GoTypes = {}
    embedded: list[tuple[str, str]] = []
    for folder in folders:
        for file in sorted(folder.rglob("types*.go")):
            path = file.parent.relative_to(folder).parts
            package = ".".join(["io.k8s", "apimachinery", *path] if path[0] == "pkg" else ["io.k8s", "api", *path])
            for struct, body in _STRUCT.findall(file.read_text()):
                name = f"{package}.{struct}"
                row = structs.setdefault(name, {})
                for _, expression, tag in _GO_FIELD.findall(body):
                    key, *options = tag.split(",")
                    if key:
                        row[key] = _printed(expression, path[-1]), _presence(expression, options)
                    elif "." not in expression:
                        embedded.append((name, f"{package}.{expression.lstrip('*')}"))
    for name, part in embedded:
        structs[name] = {**structs.get(part, {}), **structs[name]}
    return structs


def _presence(expression: str, options: list[str]) -> str:
    """When Go's encoding has the field: always (`z`), unless it is nil (`p`), unless it is empty (`e`)."""
    if "omitempty" not in options:
        return "z"
    return "p" if expression.startswith("*") or "omitzero" in options else "e"


def _printed(expression: str, package: str) -> str:
    """A Go type expression as `reflect` prints it: packages by their last name, no pointers at the top."""
    name = expression.lstrip("*")
    if name.startswith("[]"):
        return "[]" + _printed(name[2:], package)
    if name.startswith("map["):
        key, _, element = name[4:].partition("]")
        return f"map[{_printed(key, package)}]{_printed(element, package)}"
    if "." in name:
        package, _, name = name.partition(".")
        return f"{'v1' if package == 'metav1' else package}.{name}"
    return f"{package}.{name}" if name[:1].isupper() else {"byte": "uint8"}.get(name, name)


def _derived(code: str, names: list[str]) -> str:
    def parts(text: str) -> tuple[str, str]:
        return TYPES[text[0]], names[int(text[1:])] if text[0] == "o" else ""

    if code[0] in "mv":
        items, items_ref = parts(code[1:])
        return go_type_of(TYPES[code[0]], "", items, items_ref)
    return go_type_of(*parts(code), "", "")


def _field(schema: dict[str, Any], code: str, go_type: str, presence: str) -> str | list[str]:
    stored = [
        code,
        schema.get("x-kubernetes-list-type", ""),
        " ".join(schema.get("x-kubernetes-list-map-keys", ())),
        schema.get("x-kubernetes-map-type", ""),
        schema.get("x-kubernetes-patch-strategy", ""),
        schema.get("x-kubernetes-patch-merge-key", ""),
        go_type,
        presence,
    ]
    while not stored[-1]:
        stored.pop()
    return code if len(stored) == 1 else stored


def build(swagger: dict[str, Any], go_types: GoTypes) -> str:
    """The table's text."""
    definitions = swagger["definitions"]
    names = sorted(name for name in definitions if name not in _SCALARS)
    index = {name: at for at, name in enumerate(names)}
    rows = []
    for name in names:
        schema = definitions[name]
        row: dict[str, Any] = {}
        stored: dict[str, Any] = {}
        for key, value in sorted(schema.get("properties", {}).items()):
            code = _code(value, index)
            usual = usual_presence(TYPES[code[0]])
            printed, presence = go_types.get(name, {}).get(key, ("", usual))
            if presence == "e" and code[0] in "aoqxtu":
                presence = "z"  # Go has no empty structs.
            same = code[0] in "aqxtu" or printed == _derived(code, names)
            stored[key] = _field(value, code, "" if same else printed, "" if presence == usual else presence)
        if stored:
            row["f"] = stored
        if schema.get("required"):
            row["r"] = sorted(schema["required"])
        if schema.get("x-kubernetes-map-type"):
            row["m"] = schema["x-kubernetes-map-type"]
        rows.append(row)
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    return f'{{"names":{json.dumps(names, separators=(",", ":"))},\n"rows":[\n{lines}\n]}}\n'


def document(swagger: dict[str, Any]) -> bytes:
    """What the document says about definitions and fields in words, with the values that a field may have: packed."""
    rows = {}
    for name, schema in sorted(swagger["definitions"].items()):
        properties = sorted(schema.get("properties", {}).items())
        row = {
            "d": schema.get("description", ""),
            "f": {key: value["description"] for key, value in properties if "description" in value},
            "e": {key: value["enum"] for key, value in properties if "enum" in value},
        }
        rows[name] = {key: value for key, value in row.items() if value}
    return lzma.compress(json.dumps(rows, separators=(",", ":")).encode(), preset=9)


def main(arguments: list[str]) -> int:
    """Writes the tables next to this module."""
    if len(arguments) < 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    swagger = json.loads(Path(arguments[0]).read_text())
    text = build(swagger, _go_types([Path(folder) for folder in arguments[1:]]))
    here = Path(__file__).parent
    (here / "definitions.json").write_text(text)
    (here / "documentation.json.xz").write_bytes(document(swagger))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
