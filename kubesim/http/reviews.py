"""Questions that are asked by creating an object: who am I, may I, whose token is this. Nothing of them is stored.

There is no RBAC here, so every answer is yes, and says why.
Upstream: pkg/registry/{authentication,authorization} @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.apiserver.server import Identity
from kubesim.http.identities import subject_of

_WHY: Final = "kubesim has no authorization: everybody may do everything"
_ANY: Final = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_ANY_PATH: Final = {"verbs": ["*"], "nonResourceURLs": ["*"]}


def _access(_body: Object, _identity: Identity) -> Any:
    return {"allowed": True, "reason": _WHY}


def _rules(_body: Object, _identity: Identity) -> Any:
    return {"resourceRules": [_ANY], "nonResourceRules": [_ANY_PATH], "incomplete": False}


def _self(_body: Object, identity: Identity) -> Any:
    return {"userInfo": _user(identity.user)}


def _token(body: Object, _identity: Identity) -> Any:
    token = (body.get("spec") or {}).get("token")
    subject = subject_of(token) if isinstance(token, str) else None
    if subject is None:
        return {"user": {}, "error": "invalid bearer token"}
    return {"authenticated": True, "user": _user(subject)}


def _user(name: str) -> Object:
    groups = ["system:authenticated"]
    if name.startswith("system:serviceaccount:"):
        namespace = name.split(":")[2]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", *groups]
    return {"username": name, "groups": groups}


_STATUS: Final[dict[str, Callable[[Object, Identity], Any]]] = {
    "LocalSubjectAccessReview": _access,
    "SelfSubjectAccessReview": _access,
    "SelfSubjectReview": _self,
    "SelfSubjectRulesReview": _rules,
    "SubjectAccessReview": _access,
    "TokenReview": _token,
}


def is_review(kind: Kind) -> bool:
    """Whether objects of this kind are questions."""
    return kind.kind in _STATUS


def answer(kind: Kind, body: Object, identity: Identity) -> Object:
    """The question with its status."""
    named = {**body, "kind": kind.kind, "apiVersion": kind.api_version, "metadata": body.get("metadata") or {}}
    return {**named, "status": _STATUS[kind.kind](body, identity)}
