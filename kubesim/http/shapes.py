"""Objects and lists in the form that was asked for: as they are, as a Table, as metadata alone; as JSON or YAML.

Upstream: apiserver/pkg/endpoints/handlers/response.go:doTransformObject @v1.36
"""

from __future__ import annotations

from typing import Any, Final, final

from kubesim.api.objects import Object
from kubesim.api.requests import Request
from kubesim.api.scheme import Kind
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.http.encoding import Encoder
from kubesim.http.lists import Lists
from kubesim.http.negotiation import JSON, YAML, Form
from kubesim.http.statuses import Reply
from kubesim.printing.columns import table_of

_META: Final = "meta.k8s.io"


@final
class Shapes:
    """Answers' bodies. `encoder` has the bytes of stored objects."""

    def __init__(self, server: ApiServer, encoder: Encoder) -> None:
        self._loop = server.loop
        self._encoder = encoder
        self._lists = Lists(server, encoder)

    def of_stored(self, kind: Kind, obj: Object, form: Form) -> Reply:
        """A stored object."""
        if form.shape or form.media != JSON or obj.get("kind") != kind.kind:
            return self.of_object(kind, self._shown(kind, obj), form)
        return Reply(200, self._encoder.whole(kind, obj) + b"\n")

    def of_object(self, kind: Kind, obj: Object, form: Form) -> Reply:
        """What a write has answered."""
        if form.shape:
            obj = self.transformed(kind, obj, form)
        return self._plain(obj, form)

    def _shown(self, kind: Kind, obj: Object) -> Object:
        return self._encoder.shown(obj) if obj.get("kind") == kind.kind else obj

    def of_list(self, server: ApiServer, request: Request, identity: Identity, form: Form) -> Reply:
        """A collection."""
        if not form.shape and form.media == JSON:
            return Reply(200, self._lists.answer(request, identity))
        return self.of_listed(request.kind, server.handle(request, identity), form)

    def of_listed(self, kind: Kind, listed: Object, form: Form) -> Reply:
        """A List object of stored objects."""
        listed = self._encoder.shown(listed)
        if form.shape:
            listed = self._transformed_list(kind, listed, form)
        return self._plain(listed, form)

    def transformed(self, kind: Kind, obj: Object, form: Form, *, has_columns: bool = True) -> Object:
        """An object as the form's shape; a Status stays one."""
        if obj.get("kind") == "Status":
            return obj
        if form.shape == "Table":
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            now_ns, includes = self._loop.now_ns, form.includes
            return table_of(kind, [obj], metadata, form.version, now_ns, has_columns=has_columns, includes=includes)
        return _partial(obj, form.version)

    def _transformed_list(self, kind: Kind, listed: Object, form: Form) -> Object:
        if form.shape == "Table":
            items, metadata, now_ns = listed["items"], listed["metadata"], self._loop.now_ns
            return table_of(kind, items, metadata, form.version, now_ns, includes=form.includes)
        items = [_partial(item, form.version) for item in listed["items"]]
        return {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"{_META}/{form.version}",
            "metadata": listed["metadata"],
            "items": items,
        }

    def _plain(self, value: Any, form: Form) -> Reply:
        if form.media == YAML:
            return Reply(200, _yaml(value), YAML)
        return Reply(200, self._encoder.plain(value) + b"\n")


def _partial(obj: Object, version: str) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": f"{_META}/{version}", "metadata": obj["metadata"]}


def _yaml(value: Any) -> bytes:
    import yaml

    text: str = yaml.dump(value, Dumper=_dumper(), sort_keys=True, allow_unicode=True, width=1 << 20)
    return text.encode()


def _dumper() -> Any:
    """Quotes whatever another reader of YAML might take for a number or a date."""
    import re

    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
            return True

    odd = re.compile(r"[-+.\d]|[yYnN]$|(?i:yes|no|on|off|true|false|null|~)$")

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else '"' if odd.match(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return Dumper
