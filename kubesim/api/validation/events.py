"""Events in both groups, and Leases: the small kinds that are written most.

Both groups' Events are checked as the core kind, whose field names the causes carry; events.k8s.io is strict on top.
Upstream: pkg/apis/core/validation/events.go, pkg/apis/coordination/validation/validation.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubesim.api import names
from kubesim.api.objects import Object
from kubesim.api.validation import field, formats
from kubesim.api.validation.metadata import immutable
from kubesim.api.validation.rules import Rules
from kubesim.errors import Cause

_LENGTH_MAX = 128
_MESSAGE_LENGTH_MAX = 1024
_ELSEWHERE = "does not match event.namespace"
_UNSET = "needs to be unset"
# The fields of a core Event as events.k8s.io/v1 names them.
_NEW_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_FIXED = ("involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "reason", "type")
_FIXED_LATER = ("action", "related", "reportingController", "reportingInstance")


def _core_event(obj: Object) -> list[Cause]:
    namespace = obj["metadata"].get("namespace", "")
    regarding = (obj.get("involvedObject") or {}).get("namespace", "")
    if regarding and regarding == namespace and not obj.get("eventTime") and not names.dns_1123_subdomain(namespace):
        return []
    return list(_legacy(obj, namespace, regarding, obj.get("reportingComponent", ""), "reportingComponent"))


def _core_event_update(new: Object, _old: Object) -> list[Cause]:
    return _core_event(new)


def _legacy(obj: Object, namespace: str, regarding: str, controller: str, controller_path: str) -> Iterator[Cause]:
    """Upstream: pkg/apis/core/validation/events.go:legacyValidateEvent @v1.36"""
    if not obj.get("eventTime"):
        is_elsewhere = regarding != namespace if regarding else namespace not in ("", "default")
    else:
        is_elsewhere = not regarding and namespace not in ("default", "kube-system")
    if is_elsewhere:
        yield field.invalid("involvedObject.namespace", regarding, _ELSEWHERE)
    if obj.get("eventTime"):
        yield from _reporter(obj, controller, controller_path)
    yield from formats.check("namespace", namespace, names.dns_1123_subdomain(namespace))


def _reporter(obj: Object, controller: str, controller_path: str) -> Iterator[Cause]:
    if not controller:
        yield field.required(controller_path)
    yield from formats.qualified_name(controller_path, controller)
    for name in ("reportingInstance", "action", "reason"):
        text = obj.get(name, "")
        if not text:
            yield field.required(name)
        if len(text.encode()) > _LENGTH_MAX:
            yield field.invalid(name, "", f"can have at most {_LENGTH_MAX} characters")
    message = obj.get("note") or obj.get("message") or ""
    if len(message.encode()) > _MESSAGE_LENGTH_MAX:
        yield field.invalid("message", "", f"can have at most {_MESSAGE_LENGTH_MAX} characters")


def _get(obj: Object, name: str) -> Any:
    return obj.get(_NEW_NAMES.get(name, name))


def _new_event_legacy(obj: Object) -> Iterator[Cause]:
    namespace = obj["metadata"].get("namespace", "")
    regarding = (obj.get("regarding") or {}).get("namespace", "")
    return _legacy(obj, namespace, regarding, obj.get("reportingController", ""), "reportingController")


def _new_event(obj: Object) -> list[Cause]:
    causes = [*_new_event_legacy(obj), *_series(obj)]
    if not obj.get("eventTime"):
        causes.append(field.required("eventTime"))
    kind = obj.get("type", "")
    if kind not in ("Normal", "Warning"):
        causes.append(field.invalid("type", "", f"has invalid value: {kind}"))
    causes += [
        field.invalid(name, "", _UNSET)
        for name in ("firstTimestamp", "lastTimestamp", "count", "source")
        if _get(obj, name)
    ]
    return causes


def _series(obj: Object) -> Iterator[Cause]:
    series = obj.get("series")
    if series is None:
        return
    if series.get("count", 0) < 2:
        yield field.invalid("series.count", "", "should be at least 2")
    if not series.get("lastObservedTime"):
        yield field.required("series.lastObservedTime")


def _new_event_update(new: Object, old: Object) -> list[Cause]:
    """Upstream: pkg/apis/core/validation/events.go:ValidateEventUpdate @v1.36"""
    causes = list(_new_event_legacy(new))
    if new.get("series") != old.get("series"):
        causes += _series(new)
    for name in _FIXED:
        causes += immutable(name, _get(new, name), _get(old, name))
    causes += immutable("eventTime", new.get("eventTime"), old.get("eventTime"))
    for name in _FIXED_LATER:
        causes += immutable(name, new.get(name), old.get(name))
    return causes


def _lease(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    duration_s, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration_s is not None and duration_s <= 0:
        causes.append(field.invalid("spec.leaseDurationSeconds", duration_s, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        causes.append(field.invalid("spec.leaseTransitions", transitions, names.NOT_NEGATIVE))
    return causes


RULES: dict[str, Rules] = {
    "events": Rules(_core_event, _core_event_update),
    "events.events.k8s.io": Rules(_new_event, _new_event_update),
    "leases.coordination.k8s.io": Rules(_lease, lambda new, _old: _lease(new)),
}
