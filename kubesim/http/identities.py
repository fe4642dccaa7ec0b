"""Who asks: the client certificate's or the token's user, or nobody in particular.

Upstream: apiserver/pkg/authentication/request/{x509,bearertoken,anonymous} @v1.36
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any, Final

import msgspec

from kubesim.apiserver.server import Identity
from kubesim.errors import ApiError
from kubesim.http.statuses import unauthorized

ADMIN: Final = Identity("kubernetes-admin")
ANONYMOUS: Final = "system:anonymous"
_NOBODY: Final = Identity(ANONYMOUS)


def of_certificate(certificate: dict[str, Any] | None) -> Identity:
    """The identity that a verified client certificate gives: its common name."""
    if not certificate:
        return _NOBODY
    for part in certificate.get("subject") or ():
        for name, value in part:
            if name == "commonName":
                return Identity(value)
    return _NOBODY


@lru_cache(1024)
def of_bearer(header: str) -> Identity:
    """The identity of a service account's token, as its claims have it; nobody signs tokens here.

    Raises:
        ApiError: 401, it is no such token.
    """
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise unauthorized()
    user = subject_of(token.strip())
    if user is None:
        raise unauthorized()
    return Identity(user)


def subject_of(token: str) -> str | None:
    """Whom a token speaks for, None where it is no service account's."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    subject = claims.get("sub") if isinstance(claims, dict) else None
    return subject if isinstance(subject, str) and subject.startswith("system:serviceaccount:") else None


def refuse_anonymous(verb: str, plural: str, group: str, namespace: str) -> ApiError:
    """403 for somebody without credentials.

    Upstream: apiserver/pkg/endpoints/handlers/responsewriters/errors.go:Forbidden @v1.36
    """
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    why = f'User "{ANONYMOUS}" cannot {verb} resource "{plural}" in API group "{group}"{where}'
    qualified = f"{plural}.{group}" if group else plural
    return ApiError(403, "Forbidden", f"{qualified} is forbidden: {why}", kind=plural, group=group)


def refuse_anonymous_path(verb: str, path: str) -> ApiError:
    """403 for somebody without credentials, at a path that is no resource's."""
    return ApiError(403, "Forbidden", f'forbidden: User "{ANONYMOUS}" cannot {verb} path "{path}"')
