"""Writes to a Pod's `ephemeralcontainers` and `resize`: of what the client sends only that part is taken.

Upstream: pkg/registry/core/pod/strategy.go:{podEphemeralContainersStrategy,podResizeStrategy} @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kubesim.apiserver.pods import compute_qos_class
from kubesim.apiserver.resizing import check_node
from kubesim.errors import Cause, invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubesim.api.objects import Object
    from kubesim.store.log import Store

POD_PARTS: Final = ("ephemeralcontainers", "resize")
_OF_CONTAINER: Final = ("resources", "resizePolicy")
_CONTAINERS: Final = ("containers", "initContainers")


def with_part(part: str, obj: Object, old: Object, store: Store) -> Object:
    """The Pod `old` with one part of `obj`, its generation moved if that differs; metadata stay as they are.

    Raises:
        ApiError: 422, the part breaks a rule; 403, the Pod's node has not as much.
    """
    is_resize = part == "resize"
    spec = (_with_resources if is_resize else _with_ephemeral_containers)(obj["spec"], old["spec"])
    if spec == old["spec"]:
        return old
    metadata = old["metadata"]
    new = {**old, "metadata": {**metadata, "generation": metadata.get("generation", 0) + 1}, "spec": spec}
    causes = (_validate_resize if is_resize else _validate_ephemeral)(new, old)
    if causes:
        raise invalid("Pod", "", metadata["name"], causes)
    if is_resize:
        check_node(new, store)
    return new


def _with_ephemeral_containers(sent: Object, old: Object) -> Object:
    found = sent.get("ephemeralContainers")
    spec = {name: value for name, value in old.items() if name != "ephemeralContainers"}
    return {**spec, "ephemeralContainers": found} if found else spec


def _with_resources(sent: Object, old: Object) -> Object:
    """Where containers have come, gone or moved the spec is left as it was sent, for validation to refuse."""
    for field in _CONTAINERS:
        if len(sent.get(field) or ()) != len(old.get(field) or ()):
            return sent
    spec = {name: value for name, value in old.items() if name != "resources"}
    for field in _CONTAINERS:
        if field in old:
            spec[field] = _of_containers(sent[field], old[field])
    return {**spec, "resources": sent["resources"]} if sent.get("resources") else spec


def _of_containers(sent: list[Object], old: list[Object]) -> list[Object]:
    if [each["name"] for each in sent] != [each["name"] for each in old]:
        return sent
    taken = []
    for container, known in zip(sent, old, strict=True):
        kept = {name: value for name, value in known.items() if name not in _OF_CONTAINER}
        kept |= {name: container[name] for name in _OF_CONTAINER if name in container}
        taken.append(kept)
    return taken


def _validate_ephemeral(new: Object, old: Object) -> Sequence[Cause]:
    from kubesim.api.validation.pod_parts import validate_ephemeral_containers_update

    return validate_ephemeral_containers_update(new, old)


def _validate_resize(new: Object, old: Object) -> Sequence[Cause]:
    from kubesim.api.validation.pod_parts import validate_resize

    known = (old.get("status") or {}).get("qosClass") or compute_qos_class(old["spec"])
    return validate_resize(new, old, (known, compute_qos_class(new["spec"])))
