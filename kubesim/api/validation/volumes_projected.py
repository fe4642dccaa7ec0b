"""Projected volumes and the files of the downward API.

Upstream: pkg/apis/core/validation/validation.go:validateProjectionSources, validateDownwardAPIVolumeFile @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api.objects import Object
from kubesim.api.validation.container_env import validate_field_ref, validate_resource_field_ref
from kubesim.api.validation.field import forbidden, invalid, required
from kubesim.api.validation.volume_paths import file_mode, key_to_path, non_reserved_path
from kubesim.errors import Cause

_VOLUME_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
# Trust bundles and Pod certificates are behind gates that 1.36 has off: the API server drops them.
_SOURCES = ("secret", "configMap", "downwardAPI", "serviceAccountToken")
_CONFLICT = "conflicting duplicate paths"


def validate_downward_files(file: Object, path: str) -> Iterator[Cause]:
    """One file of the downward API; upstream reports it at the volume, without the file's index."""
    if not file.get("path"):
        yield required(f"{path}.path")
    yield from non_reserved_path(f"{path}.path", file.get("path", ""))
    field_ref, resource_ref = file.get("fieldRef"), file.get("resourceFieldRef")
    if field_ref is not None:
        yield from validate_field_ref(field_ref, _VOLUME_FIELDS, f"{path}.fieldRef")
        if resource_ref is not None:
            yield invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif resource_ref is not None:
        yield from validate_resource_field_ref(resource_ref, f"{path}.resourceFieldRef", in_volume=True)
    else:
        yield required(path, "one of fieldRef and resourceFieldRef is required")
    yield from file_mode(path, file, "mode")


def validate_projected(volume: Object, path: str) -> Iterator[Cause]:
    """A volume made of several sources, no two of which may write one file."""
    yield from file_mode(path, volume, "defaultMode")
    written: set[str] = set()
    for index, source in enumerate(volume.get("sources") or ()):
        at = f"{path}.sources[{index}]"
        present = [kind for kind in _SOURCES if source.get(kind) is not None]
        for kind in present:
            yield from _projection(kind, source[kind], written, path, f"{at}.{kind}")
        if len(present) > 1:
            yield forbidden(at, "may not specify more than 1 volume type per source")


def _projection(kind: str, source: Object, written: set[str], volume_path: str, path: str) -> Iterator[Cause]:
    if kind in ("secret", "configMap"):
        yield from _object_projection(source, written, volume_path, path)
    elif kind == "downwardAPI":
        for file in source.get("items") or ():
            yield from validate_downward_files(file, path)
            yield from _claim_path(file.get("path", ""), file.get("path", ""), written, volume_path)
    else:
        yield from _token(source, volume_path, path)


def _claim_path(target: str, blamed: str, written: set[str], volume_path: str) -> Iterator[Cause]:
    if not target:
        return
    if target in written:
        yield invalid(volume_path, blamed, _CONFLICT)
    written.add(target)


def _object_projection(source: Object, written: set[str], volume_path: str, path: str) -> Iterator[Cause]:
    name = source.get("name", "")
    if not name:
        yield required(f"{path}.name")
    for index, item in enumerate(source.get("items") or ()):
        yield from key_to_path(f"{path}.items[{index}]", item)
        yield from _claim_path(item.get("path", ""), name, written, volume_path)


def _token(source: Object, volume_path: str, path: str) -> Iterator[Cause]:
    seconds = source.get("expirationSeconds", 0)
    if seconds < 600:
        yield invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds > 1 << 32:
        yield invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    target = source.get("path", "")
    if not target:
        yield required(f"{volume_path}.path")
    else:
        yield from non_reserved_path(f"{volume_path}.path", target)
