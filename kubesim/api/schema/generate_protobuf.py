"""Makes `protobuf.json`: the numbers under which protobuf has the fields of API objects, from upstream's Go modules.

    python -m kubesim.api.schema.generate_protobuf PATH/TO/k8s.io/api PATH/TO/k8s.io/apimachinery …

A message is a row `number → field`. A `*` behind a field says that Go has a pointer there, so that what is given is
meant even where it is zero; `=` before a message's name that its fields stand in the object itself. The same input
gives the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from kubesim.api.kinds import ALL_KINDS

_SERVED = frozenset(kind.schema.rpartition(".")[0] for kind in ALL_KINDS)
_MACHINERY = "io.k8s.apimachinery."
_PACKAGE = re.compile(r"^package ([\w.]+);", re.MULTILINE)
_MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (optional|repeated|map<[^>]*>) ?(\.?[\w.]+)? (\w+) = (\d+);", re.MULTILINE)
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_GO_FIELD = re.compile(
    r'^\t(?:\w+[ \t]+)?([\w.*\[\]]+)[ \t]+`[^`]*json:"([^"]*)"[^`]*protobuf:"\w+,(\d+)', re.MULTILINE
)

Messages = dict[str, dict[str, str]]


def build(folders: list[Path]) -> str:
    """The table's text."""
    messages: Messages = {}
    for folder in folders:
        for file in sorted(folder.rglob("generated.proto")):
            text = file.read_text()
            found = _PACKAGE.search(text)
            if found is not None:
                go = "\n".join(
                    each.read_text() for each in sorted(file.parent.glob("*.go")) if "_test" not in each.name
                )
                messages.update(_messages(found[1], text, dict(_STRUCT.findall(go))))
    rows = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(messages[name], separators=(',', ':'))}"
        for name in sorted(messages)
        if _is_served(name)
    )
    return f"{{\n{rows}\n}}\n"


def _is_served(name: str) -> bool:
    return name.startswith(_MACHINERY) or name.rpartition(".")[0] in _SERVED


def _messages(package: str, proto: str, structs: dict[str, str]) -> Messages:
    found: Messages = {}
    for message, body in _MESSAGE.findall(proto):
        go = {number: (expression, tag) for expression, tag, number in _GO_FIELD.findall(structs.get(message, ""))}
        row = {}
        for _, type_, field, number in _FIELD.findall(body):
            expression, tag = go.get(number, ("", field))
            name = tag.split(",")[0]
            if not name and type_:
                row[number] = f"={_openapi(type_, package)}"
            else:
                row[number] = f"{name or field}*" if expression.startswith("*") else name or field
        found[_openapi(message, package)] = row
    return found


def _openapi(message: str, package: str) -> str:
    """A message's name in the OpenAPI document."""
    full = message.lstrip(".") if "." in message else f"{package}.{message}"
    return "io.k8s." + full.removeprefix("k8s.io.")


def main(arguments: list[str]) -> int:
    """Writes the table next to this module."""
    if not arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    (Path(__file__).parent / "protobuf.json").write_text(build([Path(folder) for folder in arguments]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
