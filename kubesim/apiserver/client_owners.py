"""`managedFields` that clients send with their objects: they may correct or clear them, nothing else.

Upstream: apimachinery/pkg/util/managedfields/internal/fieldmanager.go:decodeLiveOrNew @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object
from kubesim.apiserver.field_ledger import Owners


def split_owners(obj: Object, subresource: str = "") -> tuple[Object, Owners | None]:
    """The object as it is stored, without `managedFields`, and the owners that those give.

    They are None where the client says nothing, or nothing that can be understood, and in a write of a subresource;
    they are empty where it clears them.
    """
    if "managedFields" not in obj["metadata"]:
        return obj, None
    from kubesim.api.ownership.wire import decode, is_reset

    metadata = {**obj["metadata"]}
    given = metadata.pop("managedFields")
    obj = {**obj, "metadata": metadata}
    if subresource:
        return obj, None
    if is_reset(given):
        return obj, {}
    return obj, decode(given) or None
