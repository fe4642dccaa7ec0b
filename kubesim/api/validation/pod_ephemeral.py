"""What may be changed of a Pod through its subresource `ephemeralcontainers`.

Upstream: pkg/apis/core/validation/validation.go:ValidatePodEphemeralContainersUpdate @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object, annotations_of
from kubesim.api.validation.equality import equivalent
from kubesim.api.validation.field import escape_html, forbidden
from kubesim.api.validation.internal_form import difference
from kubesim.api.validation.pod_internal_form import internal_form
from kubesim.api.validation.pod_spec import validate_spec_of_pod
from kubesim.errors import Cause

# Set by the kubelet that has made the Pod of a file.
_MIRROR = "kubernetes.io/config.mirror"


def validate_ephemeral_containers_update(new: Object, old: Object) -> list[Cause]:
    """The rules that new ephemeral containers break; nothing else differs."""
    if _MIRROR in annotations_of(old):
        return [forbidden("", "static pods do not support ephemeral containers")]
    causes = list(validate_spec_of_pod(new["spec"], new["metadata"]["name"]))
    found = {each["name"]: each for each in new["spec"].get("ephemeralContainers") or ()}
    path = "spec.ephemeralContainers"
    for before in old["spec"].get("ephemeralContainers") or ():
        name = before["name"]
        after = found.get(name)
        if after is None:
            causes.append(forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif not equivalent(after, before):
            forms = (internal_form("EphemeralContainer", each) for each in (before, after))
            shown = escape_html(difference(*forms))
            causes.append(forbidden(path, f'existing ephemeral containers "{name}" may not be changed\n{shown}'))
    return causes
