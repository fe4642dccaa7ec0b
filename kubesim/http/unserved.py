"""What Kubernetes serves and the simulator does not: said in the answer, as a 501 or as a warning.

A warning header is what kubectl prints as `Warning: …`.
"""

from __future__ import annotations

from typing import Final

from kubesim.api.scheme import Kind
from kubesim.errors import ApiError
from kubesim.http.statuses import not_implemented

_REFUSED: Final = {
    "customresourcedefinitions.apiextensions.k8s.io": "kubesim serves no custom resources",
    "apiservices.apiregistration.k8s.io": "kubesim aggregates no other API servers",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": "kubesim calls no webhooks",
    "validatingwebhookconfigurations.admissionregistration.k8s.io": "kubesim calls no webhooks",
    "mutatingadmissionpolicies.admissionregistration.k8s.io": "kubesim evaluates no admission policies",
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": "kubesim evaluates no admission policies",
    "validatingadmissionpolicies.admissionregistration.k8s.io": "kubesim evaluates no admission policies",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": "kubesim evaluates no admission policies",
}
# Upstream: staging/src/k8s.io/api, zz_generated.prerelease-lifecycle.go; pkg/api/endpoints @v1.36
_DEPRECATED: Final = {
    "endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    "componentstatuses": "v1 ComponentStatus is deprecated in v1.19+",
}


def check_served(kind: Kind) -> None:
    """Raise 501 for a create of what the simulator would only pretend to have."""
    why = _REFUSED.get(kind.resource)
    if why is not None:
        raise not_implemented(f"{kind.resource}: {why}")


def subresource_not_served(kind: Kind, subresource: str) -> ApiError:
    """501 for a subresource that Kubernetes has."""
    return not_implemented(f"{kind.resource}/{subresource}: kubesim does not serve this")


def warning_about(kind: Kind, *, is_create: bool) -> str:
    """What a client should be told about a kind beside the answer; empty for most."""
    if kind.resource in _DEPRECATED:
        return _DEPRECATED[kind.resource]
    if is_create and not kind.modelled:
        return f"kubesim stores {kind.plural} and does nothing with them"
    return ""
