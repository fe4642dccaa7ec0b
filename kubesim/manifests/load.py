"""The loader: sources to manifests, or one error that lists every mistake in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from kubesim.api.kinds import find_kind, nearest_kind
from kubesim.api.objects import Object
from kubesim.api.schema.check import decoded, find_problems
from kubesim.api.scheme import Kind
from kubesim.errors import UserError
from kubesim.manifests.document import Document, DocumentError, Duplicate, Spot, read_documents
from kubesim.manifests.files import STDIN_NAME, list_files, read_file, read_stdin
from kubesim.manifests.manifest import Manifest, ManifestErrors, spot_at

DEFAULT_NAMESPACE = "default"


def load(*sources: str | Path, stdin: TextIO | None = None, namespace: str = DEFAULT_NAMESPACE) -> list[Manifest]:
    """The manifests of the sources, in order.

    A source is a file, a folder (its own manifests by name; subfolders are not searched, as with `kubectl apply -f`)
    or `-` for `stdin`. Lists are flattened. A namespaced object without a namespace gets the one given; an object that
    has none by its kind loses it, as the API server drops it.

    Raises:
        ManifestErrors: anything is wrong; it lists every mistake of every file.
    """
    reading = _Reading(namespace)
    for source in sources:
        reading.source(source, stdin)
    reading.duplicate_objects()
    if reading.errors:
        raise ManifestErrors(reading.errors)
    return reading.manifests


def _error(place: str, what: str, remedy: str) -> UserError:
    text = f"{place}: {what}; {remedy}"
    if not text.isprintable():
        text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return UserError(text)


class _Item:
    """A candidate object of a document: itself, where it stands, and its document's duplicate keys that lie in it."""

    __slots__ = ("duplicates", "spot", "value")

    def __init__(self, value: Any, spot: Spot, duplicates: tuple[Duplicate, ...]) -> None:
        self.value = value
        self.spot = spot
        self.duplicates = duplicates


class _Reading:
    """One call of `load`: what has been read and what was wrong."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.manifests: list[Manifest] = []
        self.errors: list[UserError] = []

    def source(self, source: str | Path, stdin: TextIO | None) -> None:
        before = len(self.manifests) + len(self.errors)
        try:
            if str(source) == "-" and stdin is not None:
                self._text(STDIN_NAME, read_stdin(stdin))
            else:
                for path in list_files(source):
                    self._file(path)
        except UserError as error:
            self.errors.append(error)
        if len(self.manifests) + len(self.errors) == before:
            name = STDIN_NAME if str(source) == "-" else str(source)
            self.errors.append(_error(name, "there is no object in it", "give at least one manifest"))

    def duplicate_objects(self) -> None:
        """Notes every object that an earlier manifest already gave."""
        seen: dict[tuple[str, str, str], Manifest] = {}
        for manifest in self.manifests:
            metadata = manifest.object["metadata"]
            name = metadata.get("name")
            if not name:
                continue
            key = (manifest.kind.resource, metadata.get("namespace", ""), name)
            first = seen.setdefault(key, manifest)
            if first is not manifest:
                where = f"{first.file}:{first.line}"
                what = f'{manifest.kind.kind} "{name}" was already given at {where}'
                self.errors.append(_error(f"{manifest.file}:{manifest.line}", what, "keep one, or rename one"))

    def _file(self, path: Path) -> None:
        try:
            self._text(str(path), read_file(path))
        except UserError as error:
            self.errors.append(error)

    def _text(self, file: str, text: str) -> None:
        try:
            for document in read_documents(text):
                self._document(file, document)
        except DocumentError as error:
            self.errors.append(_error(f"{file}:{error.line + 1}:{error.column + 1}", error.what, error.remedy))

    def _document(self, file: str, document: Document) -> None:
        if document.value is None:
            return
        for item in _flattened(_Item(document.value, document.spot, document.duplicates)):
            errors = list(_identity_errors(file, item))
            kind = None if errors else find_kind(item.value["apiVersion"], item.value["kind"])
            if kind is None:
                self.errors.extend(errors)
                continue
            errors = list(_structural_errors(file, item, kind))
            if errors:
                self.errors.extend(errors)
                continue
            obj = _in_namespace(decoded(item.value, kind.schema), kind, self._namespace)
            self.manifests.append(Manifest(obj, kind, file, item.spot))


def _flattened(item: _Item) -> Iterator[_Item]:
    """The objects of a List, of a typed list such as DeploymentList, or the object itself."""
    value = item.value
    if not isinstance(value, dict) or not _is_list(value.get("apiVersion"), value.get("kind")):
        yield item
        return
    members = value.get("items")
    spots = spot_at(item.spot, "items").inside
    if not isinstance(members, list) or not isinstance(spots, list):
        if members is not None:
            yield item
        return
    for index, (member, spot) in enumerate(zip(members, spots, strict=True)):
        start = ("items", f"[{index}]")
        inner = tuple(d._replace(path=d.path[2:]) for d in item.duplicates if d.path[:2] == start)
        yield from _flattened(_Item(member, spot, inner))


def _is_list(api_version: Any, kind: Any) -> bool:
    if not isinstance(kind, str) or not isinstance(api_version, str) or not kind.endswith("List"):
        return False
    return kind == "List" or find_kind(api_version, kind.removesuffix("List")) is not None


def _identity_errors(file: str, item: _Item) -> Iterator[UserError]:
    """What keeps the value from being an object of a known kind."""
    place = f"{file}:{item.spot.line + 1}"
    value = item.value
    if not isinstance(value, dict):
        shown = "a list" if isinstance(value, list) else "a single value" if value is not None else "null"
        yield _error(place, f"not a Kubernetes object but {shown}", "start it with apiVersion and kind")
        return
    given = True
    for name, example in (("apiVersion", "apps/v1"), ("kind", "Deployment")):
        text = value.get(name)
        if isinstance(text, str) and text:
            continue
        given = False
        if text is None or text == "":
            yield _error(place, f"the object has no {name}", f'add it, as in "{name}: {example}"')
        else:
            line = spot_at(item.spot, name).line + 1
            yield _error(f"{file}:{line}", f"{name} must be text", f'write it as in "{name}: {example}"')
    if given and find_kind(value["apiVersion"], value["kind"]) is None:
        yield _unknown_kind(file, item)


def _unknown_kind(file: str, item: _Item) -> UserError:
    api_version, kind = item.value["apiVersion"], item.value["kind"]
    if _is_list(api_version, kind):
        place = f"{file}:{spot_at(item.spot, 'items').line + 1}"
        return _error(place, f'"items" of a {kind} must be a list', "write each object after a dash")
    nearest = nearest_kind(api_version, kind)
    field = "apiVersion" if nearest.endswith(f" {kind}") else "kind"
    place = f"{file}:{spot_at(item.spot, field).line + 1}"
    remedy = f"write {nearest}" if nearest else "give a built-in kind; custom resources are not known here"
    return _error(place, f"Kubernetes 1.36 has no {api_version} {kind}", remedy)


def _structural_errors(file: str, item: _Item, kind: Kind) -> Iterator[UserError]:
    """Every unknown, mistyped, missing or repeated field of the object, by line."""
    metadata = item.value.get("metadata")
    named = isinstance(metadata, dict) and (metadata.get("name") or metadata.get("generateName"))
    found: list[tuple[int, str, str]] = []
    for duplicate in item.duplicates:
        what = f'the key "{duplicate.path[-1]}" was already given at line {duplicate.first.line + 1}'
        found.append((duplicate.second.line, what, "keep one"))
    for problem in find_problems(item.value, kind.schema, with_missing=True):
        found.append((spot_at(item.spot, problem.path).line, problem.message, problem.remedy))
    if not named and (metadata is None or isinstance(metadata, dict)):
        line = spot_at(item.spot, "metadata").line
        found.append((line, 'the required field "metadata.name" is missing', "add it"))
    subject = f'{kind.kind} "{metadata["name"]}"' if named and isinstance(metadata.get("name"), str) else kind.kind
    for line, what, remedy in sorted(found, key=lambda entry: entry[0]):
        yield _error(f"{file}:{line + 1}", f"{subject}: {what}", remedy)


def _in_namespace(obj: Object, kind: Kind, namespace: str) -> Object:
    """The object in the namespace that it will have."""
    metadata = obj.get("metadata") or {}
    if kind.namespaced:
        if metadata.get("namespace"):
            return obj
        return {**obj, "metadata": {**metadata, "namespace": namespace}}
    if "namespace" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "namespace"}}
