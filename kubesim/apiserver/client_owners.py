"""`managedFields` that clients send with their objects: they may correct or clear them, nothing else.

Upstream: apimachinery/pkg/util/managedfields/internal/fieldmanager.go:decodeLiveOrNew @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object
from kubesim.apiserver.field_ledger import Owners


def split_owners(obj: Object, sent: Object, subresource: str = "") -> tuple[Object, Owners | None]:
    """The decoded object as it is stored, without `managedFields`, and the owners that the client has `sent` with it.

    They are None where the client says nothing, or nothing that can be understood, and in a write of a subresource;
    they are empty where it clears them.
    """
    metadata = sent.get("metadata")
    given = None if metadata is None else metadata.get("managedFields")
    if given is None:
        return obj, None
    from kubesim.api.ownership.wire import decode, is_reset

    read = obj["metadata"].get("managedFields")
    kept = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    obj = {**obj, "metadata": kept}
    if subresource:
        return obj, None
    if is_reset(given):
        return obj, {}
    return obj, decode(read) or None
