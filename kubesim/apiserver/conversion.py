"""Kinds that are another kind's objects under other names: events.k8s.io Events are the core Events.

Objects are stored, selected and watched as the core kind; whoever speaks the other version sees them converted.
Upstream: pkg/apis/events/v1/conversion.go @v1.36
"""

from __future__ import annotations

from kubesim.api.kinds import EVENT, EVENTS_K8S_IO_EVENT
from kubesim.api.objects import Object
from kubesim.api.scheme import Kind

_NEW_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_OLD_NAMES = {new: old for old, new in _NEW_NAMES.items()}


def stored_kind(kind: Kind) -> Kind:
    """The kind as which objects of `kind` are stored."""
    return EVENT if kind is EVENTS_K8S_IO_EVENT else kind


def to_stored(kind: Kind, obj: Object) -> Object:
    """An object of `kind` as it is stored."""
    if kind is not EVENTS_K8S_IO_EVENT:
        return obj
    return {_OLD_NAMES.get(part, part): value for part, value in {**obj, "apiVersion": EVENT.api_version}.items()}


def from_stored(kind: Kind, obj: Object) -> Object:
    """A stored object as `kind` shows it; one that is in that form already stays as it is."""
    if kind is not EVENTS_K8S_IO_EVENT:
        return obj
    shown = {**obj, "apiVersion": EVENTS_K8S_IO_EVENT.api_version}
    return {_NEW_NAMES.get(part, part): value for part, value in shown.items()}
