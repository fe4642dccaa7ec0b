"""Whether an object would be valid by itself: what a create checks before it looks at anything else."""

from __future__ import annotations

from kubesim.api.defaults import default
from kubesim.api.defaults.service_addresses import resolve_addresses
from kubesim.api.objects import Object
from kubesim.api.requests import Options
from kubesim.api.scheme import Kind
from kubesim.api.validation import validate_create
from kubesim.apiserver.decoding import decode
from kubesim.apiserver.strategies import prepare_for_create, strategy_for
from kubesim.errors import invalid

_STRICT = Options(field_validation="Strict")


def check_alone(kind: Kind, obj: Object, now: str) -> Object:
    """The object with its defaults, as if made at `now`; nothing is written.

    Raises:
        ApiError: 400 or 422, as a create would answer.
    """
    obj = default(kind, decode(kind, obj, _STRICT))
    if kind.resource == "services":
        obj, causes = resolve_addresses(obj, None)
        if causes:
            raise invalid(kind.kind, kind.group, obj["metadata"].get("name", ""), causes)
    metadata = {**obj["metadata"], "creationTimestamp": now}
    obj = prepare_for_create(strategy_for(kind), {**obj, "metadata": metadata})
    causes = validate_create(kind, obj)
    if causes:
        raise invalid(kind.kind, kind.group, metadata.get("name", ""), causes)
    return obj
