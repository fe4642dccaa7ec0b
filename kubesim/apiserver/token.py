"""The token subresource of a ServiceAccount: a token that reads like one of upstream's, but that nobody has signed.

Upstream: pkg/registry/core/serviceaccount/storage/token.go, pkg/serviceaccount/claims.go @v1.36
"""

from __future__ import annotations

import base64
import hashlib

import msgspec

from kubesim.api.objects import Object
from kubesim.api.timestamps import EPOCH, to_time
from kubesim.errors import ApiError, Cause, bad_request, conflict, invalid, not_found
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import SECOND
from kubesim.store.log import Store

_ISSUER = "https://kubernetes.default.svc.cluster.local"
_GROUP, _KIND = "authentication.k8s.io", "TokenRequest"
_EXPIRATION_S = 3600
_EXPIRATION_MIN_S, _EXPIRATION_MAX_S = 600, 1 << 32
_HEADER: Object = {"alg": "RS256", "kid": "kubesim"}
_BINDABLE = {"Pod": "pods", "Node": "nodes", "Secret": "secrets"}


def create_token(store: Store, stream: Stream, now_ns: int, account: Object, request: Object) -> Object:
    """The request, answered.

    Raises:
        ApiError: 422, it does not fit the account or asks for too short or long a life; 400, 404 or 409, the object
            that it is to be bound to isn't as it says.
    """
    metadata = account["metadata"]
    spec: Object = {
        "audiences": [_ISSUER],
        "expirationSeconds": _EXPIRATION_S,
        **{name: value for name, value in (request.get("spec") or {}).items() if value},
    }
    given = request.get("metadata") or {}
    _check(given, metadata, spec["expirationSeconds"])
    bound = _bound(store, account, spec.get("boundObjectRef"))
    now_s = int(EPOCH.timestamp()) + now_ns // SECOND
    claims = {
        "aud": spec["audiences"],
        "exp": now_s + spec["expirationSeconds"],
        "iat": now_s,
        "iss": _ISSUER,
        "jti": stream.uid(),
        "kubernetes.io": {
            "namespace": metadata["namespace"],
            **bound,
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        },
        "nbf": now_s,
        "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
    }
    return {
        "kind": _KIND,
        "apiVersion": f"{_GROUP}/v1",
        "metadata": {
            **given,
            **{name: metadata[name] for name in ("name", "namespace", "uid")},
            "creationTimestamp": to_time(now_ns),
        },
        "spec": spec,
        "status": {
            "token": _encoded(claims),
            "expirationTimestamp": to_time(now_ns + spec["expirationSeconds"] * SECOND),
        },
    }


def _check(given: Object, metadata: Object, expiration_s: int) -> None:
    name = metadata["name"]
    for field, of in (("name", "name"), ("namespace", "namespace")):
        value = given.get(field)
        if value and value != metadata[field]:
            message = f'Invalid value: "{value}": must match the service account {of} if specified'
            raise invalid(_KIND, _GROUP, name, (Cause("FieldValueInvalid", f"metadata.{field}", message),))
    uid = given.get("uid")
    if uid and uid != metadata["uid"]:
        why = f"the UID in the token request ({uid}) does not match the UID of the service account ({metadata['uid']})"
        raise conflict(_KIND, _GROUP, name, why)
    if expiration_s < _EXPIRATION_MIN_S:
        raise _expiration(expiration_s, "may not specify a duration less than 10 minutes")
    if expiration_s > _EXPIRATION_MAX_S:
        raise _expiration(expiration_s, "may not specify a duration larger than 2^32 seconds")


def _expiration(seconds: int, why: str) -> ApiError:
    message = f"Invalid value: {seconds}: {why}"
    return invalid(_KIND, _GROUP, "", (Cause("FieldValueInvalid", "spec.expirationSeconds", message),))


def _bound(store: Store, account: Object, reference: Object | None) -> Object:
    """The claims about the object that the token is bound to: it is good for as long as that lives."""
    if reference is None:
        return {}
    kind, name = reference.get("kind", ""), reference.get("name", "")
    plural = _BINDABLE.get(kind)
    version = reference.get("apiVersion", "")
    if plural is None or version != "v1":
        shown = version if "/" in version else f"/{version}"
        raise bad_request(f"cannot bind token to object of type {shown}, Kind={kind}")
    namespace = "" if kind == "Node" else account["metadata"]["namespace"]
    found = store.get(plural, (namespace, name))
    if found is None:
        raise not_found(plural, "", name)
    account_name = account["metadata"]["name"]
    if kind == "Pod" and found["spec"].get("serviceAccountName") != account_name:
        raise bad_request(
            f'cannot bind token for serviceaccount "{account_name}" to pod running with different serviceaccount name.'
        )
    uid = reference.get("uid")
    if uid and uid != found["metadata"]["uid"]:
        why = (
            f"the UID in the bound object reference ({uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise conflict(kind, "", name, why)
    claims = {kind.lower(): _reference(found)}
    node_name = found["spec"].get("nodeName") if kind == "Pod" else None
    if node_name:
        node = store.get("nodes", ("", node_name))
        claims["node"] = {"name": node_name} if node is None else _reference(node)
    return claims


def _reference(obj: Object) -> Object:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def _encoded(claims: Object) -> str:
    """Header and claims as a JSON Web Token; where the signature would be stands a digest of both."""
    text = b".".join(_base64(msgspec.json.encode(part)) for part in (_HEADER, claims))
    return (text + b"." + _base64(hashlib.sha512(text).digest() * 4)).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
