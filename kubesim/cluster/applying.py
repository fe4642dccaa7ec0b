"""Applying manifests: everything is checked before anything is written, then written in the order of the files.

An object that is there already gets what has changed since it was last applied, as `kubectl apply` does it; what
others have set in it stays.
Upstream: kubectl/pkg/cmd/apply/{apply,patcher}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TextIO, final

from kubesim.api.kinds import NAMESPACE
from kubesim.api.objects import Object, key_of
from kubesim.api.patch import apply_strategic_merge_patch, plan_two_way_merge_patch
from kubesim.api.requests import Request, create, patch
from kubesim.api.scheme import Kind
from kubesim.errors import ApiError, UserError
from kubesim.manifests import Manifest, ManifestErrors, load

Send = Callable[[Request], Object]


@final
class Applier:
    """Remembers what was applied, so that a field taken out of a manifest is taken out of its object."""

    def __init__(
        self, send: Send, check: Callable[[Kind, Object], Object], find: Callable[[Kind, Object], Object | None]
    ) -> None:
        self._send = send
        self._check = check
        self._find = find
        self._last: dict[tuple[str, str, str], Object] = {}

    def apply(self, sources: Iterable[str | Path], stdin: TextIO | None = None) -> list[Object]:
        """Apply files, folders or standard input (`-`); returns the objects as stored.

        Raises:
            UserError: something is wrong with a manifest; nothing has been written then.
        """
        return self.apply_loaded(load(*sources, stdin=stdin))

    def apply_loaded(self, manifests: Sequence[Manifest]) -> list[Object]:
        """Apply manifests that have been read; returns the objects as stored.

        Raises:
            UserError: the API server refuses one of them; nothing has been written then.
        """
        self._refuse_invalid(manifests)
        return [self._write(manifest) for manifest in manifests]

    def _refuse_invalid(self, manifests: Sequence[Manifest]) -> None:
        spaces = {manifest.object["metadata"]["name"] for manifest in manifests if manifest.kind is NAMESPACE}
        errors: list[UserError] = []
        for manifest in manifests:
            errors += self._problems(manifest, spaces)
        if errors:
            raise ManifestErrors(errors)

    def _problems(self, manifest: Manifest, spaces: set[str]) -> list[UserError]:
        obj, kind = manifest.object, manifest.kind
        namespace = obj["metadata"].get("namespace", "")
        if namespace and namespace not in spaces:
            holder: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            if self._find(NAMESPACE, holder) is None:
                place = manifest.locate("metadata.namespace")
                return [UserError(f'{place}: there is no namespace "{namespace}"; add a Namespace to the manifests')]
        if not obj["metadata"].get("name"):
            place = manifest.locate("metadata.generateName")
            return [UserError(f"{place}: {kind.kind}: cannot use generate name with apply; write metadata.name")]
        existing = self._find(kind, obj)
        try:
            self._check(kind, obj if existing is None else self._merged(kind, existing, obj))
        except ApiError as error:
            if not error.causes:
                return [UserError(f"{manifest.locate('')}: {error.message}")]
            name = f"{kind.kind} {obj['metadata'].get('name', '')}"
            return [
                UserError(f"{manifest.locate(cause.field)}: {name}: {cause.field}: {cause.message}")
                for cause in dict.fromkeys(error.causes)
            ]
        return []

    def _change(self, kind: Kind, existing: Object, wanted: Object) -> Object:
        last = self._last.get((kind.resource, *key_of(existing)))
        change: Object = wanted if last is None else plan_two_way_merge_patch(last, wanted, kind.schema)
        return change

    def _merged(self, kind: Kind, existing: Object, wanted: Object) -> Object:
        return apply_strategic_merge_patch(existing, self._change(kind, existing, wanted), kind.schema)

    def _write(self, manifest: Manifest) -> Object:
        kind, obj = manifest.kind, manifest.object
        existing = self._find(kind, obj)
        try:
            if existing is None:
                stored = self._send(create(kind, obj))
            else:
                namespace, name = key_of(existing)
                stored = self._send(patch(kind, namespace, name, self._change(kind, existing, obj), "strategic"))
        except ApiError as error:
            raise UserError(f"{manifest.locate('')}: {error.message}") from error
        self._last[(kind.resource, *key_of(stored))] = obj
        return stored
