"""A request on a resource from its path, query and body to an answer: the verbs over `ApiServer.handle`.

Upstream: apiserver/pkg/endpoints/{installer.go,handlers} @v1.36
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, final

from kubesim.api.kinds import BINDING, COMPONENT_STATUS, POD, verbs_of
from kubesim.api.objects import Object
from kubesim.api.requests import Options, Request
from kubesim.api.schema.check import find_problems
from kubesim.api.schema.wire import decoding_error
from kubesim.api.scheme import Kind
from kubesim.apiserver.decoding import decode
from kubesim.apiserver.pod_admission import TryAgain
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.errors import ApiError, bad_request
from kubesim.http import reviews
from kubesim.http.bodies import media_type, read_object, read_patch
from kubesim.http.discovery import subresource_kind, subresource_verbs
from kubesim.http.duplicates import duplicates_in
from kubesim.http.negotiation import JSON, PROTOBUF, Form, including, negotiate
from kubesim.http.pace import Pace
from kubesim.http.parameters import delete_options, list_options, write_options
from kubesim.http.shapes import Shapes
from kubesim.http.sharing import Sharing
from kubesim.http.statuses import Reply, method_not_allowed
from kubesim.http.targets import Target, resource_not_found
from kubesim.http.trouble import Answer, Way
from kubesim.http.unserved import check_served, subresource_not_served, warning_about

_NOT_SERVED: Final = ("approval",)
_BODIES: Final = {
    "binding": ("io.k8s.api.core.v1.Binding", "Binding"),
    "eviction": ("io.k8s.api.policy.v1.Eviction", "Eviction"),
    "scale": ("io.k8s.api.autoscaling.v1.Scale", "Scale"),
    "token": ("io.k8s.api.authentication.v1.TokenRequest", "TokenRequest"),
}
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
_IGNORING: Final = Options(field_validation="Ignore")


class Call(NamedTuple):
    """An HTTP request on a resource, read as far as its path."""

    method: str
    target: Target
    query: Mapping[str, str]
    accept: str
    content_type: str
    body: bytes
    identity: Identity


@final
class Answering:
    """The API server's verbs, as HTTP has them."""

    def __init__(self, server: ApiServer, pace: Pace, shapes: Shapes, way: Way) -> None:
        self._server = server
        self._pace = pace
        self._shapes = shapes
        self._way = way
        self._sharing = Sharing()

    async def answer(self, call: Call) -> Reply:
        """Carry out a call that is no watch and no stream.

        Raises:
            ApiError: the answer, where it is not success.
        """
        target = call.target
        verb = _verb(call.method, target)
        if verb in ("get", "list"):
            answer = await self._way.admit(_reading(verb, call)) if self._way.troubles else None
            return self._get(call) if verb == "get" else self._list(call, answer)
        _check_accept(call)
        request = self._read(verb, call)
        if not target.subresource and reviews.is_review(target.kind):
            return await self._answer_review(call, request)
        try:
            obj = await self._carry_out(request, call.identity)
        except ApiError:
            self._way.lose_reply(request)
            raise
        self._way.lose_reply(request)
        is_new = verb == "create" or self._server.has_created
        reply = self._shaped(call, obj, 201 if is_new else 200)
        told = warning_about(target.kind, is_create=is_new) if not target.subresource else ""
        warnings = (*self._server.warnings, told) if told else tuple(self._server.warnings)
        return reply._replace(warnings=warnings) if warnings else reply

    # --- reading ---

    def _get(self, call: Call) -> Reply:
        form = _form(call)
        obj = self._server.handle(_reading("get", call), call.identity)
        return self._shapes.of_stored(call.target.kind, obj, form)

    def _list(self, call: Call, answer: Answer | None) -> Reply:
        form = _form(call, is_list=True)
        request = _reading("list", call)
        if "sendInitialEvents" in call.query:
            raise _list_invalid("sendInitialEvents", "sendInitialEvents is forbidden for list")
        if answer is not None:
            return self._shapes.of_listed(request.kind, answer(request), form)
        return self._shapes.of_list(self._server, request, call.identity, form)

    # --- writing ---

    async def _answer_review(self, call: Call, request: Request) -> Reply:
        if self._way.troubles:
            await self._way.admit(request)
        return self._shaped(call, reviews.answer(request.kind, request.body, call.identity), 201)

    def _read(self, verb: str, call: Call) -> Request:
        """The request that a call is."""
        target = call.target
        kind = target.kind
        place = (kind, target.namespace, target.name, target.subresource)
        if verb in ("delete", "deletecollection"):
            body = self._delete_body(call)
            options = delete_options(call.query, body, of_collection=verb == "deletecollection")
            return Request(verb, *place, None, options)  # type: ignore[arg-type]
        if verb == "patch":
            patch_type, patch = read_patch(call.body, call.content_type)
            options = write_options(call.query, "patch", patch_type)
            if patch_type == "apply":
                patch = _sound(kind, {**patch, "metadata": patch.get("metadata") or {}})
            return Request("patch", *place, patch, options, duplicates_in(call.body, patch))
        if verb == "create" and not target.subresource:
            check_served(kind)
        expected = subresource_kind(kind, target.subresource)[2] if target.subresource else kind.kind
        media = media_type(call.content_type)
        obj = read_object(call.body, media, expected)
        options = write_options(call.query, verb)
        if reviews.is_review(kind):
            return Request("create", *place, _sound(kind, obj), options)
        if kind is BINDING:
            _check_body("binding", obj)
            name = (obj.get("metadata") or {}).get("name") or ""
            return Request("create", POD, target.namespace, name, "binding", obj, options)
        if target.subresource in _BODIES:
            _check_body(target.subresource, obj)
        else:
            obj = _sound(kind, self._sharing.of_object(obj) if media == JSON else obj)
        twice = () if media == PROTOBUF else duplicates_in(call.body, obj)
        return Request(verb, *place, obj, options, twice)  # type: ignore[arg-type]

    @staticmethod
    def _delete_body(call: Call) -> Object | None:
        if not call.body:
            return None
        return read_object(call.body, call.content_type, "DeleteOptions")

    async def _carry_out(self, request: Request, identity: Identity) -> Object:
        """The request at this instant, or when nothing holds it any longer."""
        attempt = 0
        while True:
            if self._way.troubles:
                await self._way.admit(request)
            try:
                return self._server.handle(request, identity, attempt)
            except TryAgain as held:
                attempt += 1
                await self._pace.wait(held.after_ns)
            finally:
                self._pace.nudge()

    def _shaped(self, call: Call, obj: Object, code: int) -> Reply:
        if obj.get("kind") == "Status":
            code = obj.get("code", 200)
        return self._shapes.of_object(call.target.kind, obj, _form(call))._replace(code=code)


def _verb(method: str, target: Target) -> str:
    """The verb of a method on a target.

    Raises:
        ApiError: 405 or 404, there is none; 501, Kubernetes has it and the simulator does not.
    """
    verb = _VERBS.get(method)
    if verb is None:
        raise method_not_allowed()
    kind, name, subresource = target.kind, target.name, target.subresource
    if subresource:
        if subresource not in kind.subresources:
            raise resource_not_found()
        if verb not in subresource_verbs(subresource):
            raise method_not_allowed()
        if subresource in _NOT_SERVED:
            raise subresource_not_served(kind, subresource)
        return verb
    if name:
        if verb == "create":
            raise method_not_allowed()
    elif verb == "get":
        verb = "list"
    elif verb == "delete":
        verb = "deletecollection"
    elif verb != "create":
        raise method_not_allowed()
    if verb == "list" and kind is COMPONENT_STATUS:
        return verb
    if verb not in verbs_of(kind) or (verb == "create" and kind.namespaced and not target.namespace):
        raise method_not_allowed()
    return verb


def _reading(verb: str, call: Call) -> Request:
    """The request that a get or a list is."""
    target, options = call.target, list_options(call.query)
    if verb == "get":
        return Request("get", target.kind, target.namespace, target.name, target.subresource, None, options)
    return Request("list", target.kind, target.namespace, "", "", None, _named(options, target.name))


def _form(call: Call, *, is_list: bool = False, has_table: bool = True) -> Form:
    form = negotiate(call.accept, is_list=is_list, has_table=has_table)
    return including(form, call.query.get("includeObject", ""))


def _check_accept(call: Call) -> None:
    """Nothing is written where the answer could not be given; questions have no table."""
    _form(call, has_table=not reviews.is_review(call.target.kind))


def _named(options: Options, name: str) -> Options:
    """The options of a watch on one name, as the old paths have it."""
    if not name:
        return options
    import msgspec

    return msgspec.structs.replace(options, field_selector=f"metadata.name={name}")


def _list_invalid(field: str, why: str) -> ApiError:
    from kubesim.errors import Cause, invalid

    return invalid("ListOptions", "meta.k8s.io", "", (Cause("FieldValueForbidden", field, f"Forbidden: {why}"),))


def _sound(kind: Kind, obj: Object) -> Object:
    """The object, if its metadata can be looked at.

    Raises:
        ApiError: 400, it is not of the right type.
    """
    metadata = obj.get("metadata")
    if metadata is None:
        return obj
    if not isinstance(metadata, dict) or any(
        not isinstance(metadata.get(name, ""), str | None) for name in ("name", "namespace", "generateName", "uid")
    ):
        decode(kind, obj, _IGNORING)
        raise bad_request(f"{kind.kind}: metadata cannot be read")
    return obj


def _check_body(subresource: str, obj: Object) -> None:
    definition, kind = _BODIES[subresource]
    problems = find_problems(obj, definition)
    error = decoding_error("v1", kind, problems, strict=False)
    if error is not None:
        raise error
