"""Rows of Events and of the kinds that are rarely looked at."""

from __future__ import annotations

from typing import Any, Final

from kubesim.api.objects import Object
from kubesim.printing.ages import age
from kubesim.printing.row import (
    NONE,
    UNKNOWN,
    Cell,
    Cells,
    Column,
    Printed,
    age_of,
    columns,
    labels_text,
    name_of,
    spec_of,
    status_of,
)


def _event(obj: Object, now_ns: int) -> Cells:
    first = age(obj.get("firstTimestamp") or obj.get("eventTime"), now_ns)
    last = age(obj["lastTimestamp"], now_ns) if obj.get("lastTimestamp") else first
    count = obj.get("count") or 1
    series = obj.get("series")
    if series:
        last, count = age(series.get("lastObservedTime"), now_ns), series.get("count", 0)
    about = obj.get("involvedObject") or {}
    kind = about.get("kind", "").lower()
    return (
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        _source(obj),
        obj.get("message", "").strip(),
        first,
        count,
        name_of(obj),
    )


def _source(event: Object) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


def _core_event(obj: Object, now_ns: int) -> Cells:
    return _event(obj, now_ns)


_FROM_NEW: Final = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}


def _new_event(obj: Object, now_ns: int) -> Cells:
    return _event({_FROM_NEW.get(name, name): value for name, value in obj.items()}, now_ns)


def _autoscaler(obj: Object, now_ns: int) -> Cells:
    spec, target = spec_of(obj), spec_of(obj).get("scaleTargetRef") or {}
    return (
        name_of(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(spec),
        str(spec.get("minReplicas", UNKNOWN)),
        spec.get("maxReplicas", 0),
        status_of(obj).get("currentReplicas", 0),
        age_of(obj, now_ns),
    )


def _metrics(spec: Any) -> str:
    """What it aims at; nothing here measures."""
    metrics = spec.get("metrics") or ()
    if "targetCPUUtilizationPercentage" in spec:
        return f"cpu: {UNKNOWN}/{spec['targetCPUUtilizationPercentage']}%"
    texts = []
    for metric in metrics:
        source = metric.get(metric.get("type", "")[:1].lower() + metric.get("type", "")[1:]) or {}
        target = source.get("target") or {}
        wanted = target.get("averageValue") or target.get("value")
        if wanted is None:
            wanted = f"{target['averageUtilization']}%" if "averageUtilization" in target else "<auto>"
        named = f"{source['name']}: " if "name" in source else ""
        texts.append(f"{named}{UNKNOWN}/{wanted}")
    if not texts:
        return NONE
    listed = ", ".join(texts[:2])
    return f"{listed} + {len(texts) - 2} more..." if len(texts) > 2 else listed


def _priority_class(obj: Object, now_ns: int) -> Cells:
    policy = obj.get("preemptionPolicy", "PreemptLowerPriority")
    return name_of(obj), obj.get("value", 0), bool(obj.get("globalDefault")), age_of(obj, now_ns), policy


def _lease(obj: Object, now_ns: int) -> Cells:
    return name_of(obj), spec_of(obj).get("holderIdentity") or "", age_of(obj, now_ns)


def _role(obj: Object, _now_ns: int) -> Cells:
    return name_of(obj), obj["metadata"].get("creationTimestamp")


def _role_binding(obj: Object, now_ns: int) -> Cells:
    subjects = obj.get("subjects") or ()
    role = obj.get("roleRef") or {}
    named: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in subjects:
        prefix = f"{subject.get('namespace', '')}/" if subject.get("kind") == "ServiceAccount" else ""
        named.setdefault(subject.get("kind", ""), []).append(prefix + subject.get("name", ""))
    texts = (", ".join(named[kind]) for kind in ("User", "Group", "ServiceAccount"))
    return name_of(obj), f"{role.get('kind', '')}/{role.get('name', '')}", age_of(obj, now_ns), *texts


def _ingress_class(obj: Object, now_ns: int) -> Cells:
    spec = spec_of(obj)
    parameters = spec.get("parameters")
    text = NONE
    if parameters:
        group = parameters.get("apiGroup")
        text = f"{parameters['kind']}.{group}/" if group else f"{parameters['kind']}/"
        text += parameters["name"]
    return name_of(obj), spec.get("controller", ""), text, age_of(obj, now_ns)


def _network_policy(obj: Object, now_ns: int) -> Cells:
    return name_of(obj), labels_text((spec_of(obj).get("podSelector") or {}).get("matchLabels")), age_of(obj, now_ns)


def _runtime_class(obj: Object, now_ns: int) -> Cells:
    return name_of(obj), obj.get("handler", ""), age_of(obj, now_ns)


def _attachment(obj: Object, now_ns: int) -> Cells:
    spec = spec_of(obj)
    volume = (spec.get("source") or {}).get("persistentVolumeName", "")
    is_attached = bool(status_of(obj).get("attached"))
    return name_of(obj), spec.get("attacher", ""), volume, spec.get("nodeName", ""), is_attached, age_of(obj, now_ns)


def _service_cidr(obj: Object, now_ns: int) -> Cells:
    return name_of(obj), ",".join(spec_of(obj).get("cidrs") or ()), age_of(obj, now_ns)


def _webhooks(obj: Object, now_ns: int) -> Cells:
    return name_of(obj), len(obj.get("webhooks") or ()), age_of(obj, now_ns)


def _csi_node(obj: Object, now_ns: int) -> Cells:
    return name_of(obj), len(spec_of(obj).get("drivers") or ()), age_of(obj, now_ns)


def _csi_driver(obj: Object, now_ns: int) -> Cells:
    spec = spec_of(obj)
    requests = spec.get("tokenRequests") or ()
    audiences = ",".join(each.get("audience", "") for each in requests) if requests else "<unset>"
    flags: list[Cell] = [
        spec.get("attachRequired", True),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
    ]
    modes = ",".join(spec.get("volumeLifecycleModes") or ()) or NONE
    return name_of(obj), *flags, audiences, bool(spec.get("requiresRepublish")), modes, age_of(obj, now_ns)


def _named(obj: Object, now_ns: int) -> Cells:
    return name_of(obj), age_of(obj, now_ns)


_EVENT_COLUMNS: Final = (
    Column("Last Seen"),
    Column("Type"),
    Column("Reason"),
    Column("Object"),
    Column("Subobject", priority=1),
    Column("Source", priority=1),
    Column("Message"),
    Column("First Seen", priority=1),
    Column("Count", priority=1),
    Column("Name", "string", "name", 1),
)
# `metadata.creationTimestamp` as the table convertor prints it for kinds without a printer of their own.
CREATED_AT: Final = Printed(columns("Created At:date"), _role)
NAME_AND_AGE: Final = Printed(columns("Age"), _named)
_BINDING: Final = columns("Role, Age", "Users, Groups, ServiceAccounts")
_DRIVER: Final = (
    "AttachRequired:boolean, PodInfoOnMount:boolean, StorageCapacity:boolean, "
    "TokenRequests, RequiresRepublish:boolean, Modes, Age"
)
NEW_EVENT: Final = Printed(_EVENT_COLUMNS, _new_event)
OTHERS: Final[dict[str, Printed]] = {
    "events": Printed(_EVENT_COLUMNS, _core_event),
    "horizontalpodautoscalers.autoscaling": Printed(
        columns("Reference, Targets, MinPods, MaxPods, Replicas, Age"), _autoscaler
    ),
    "priorityclasses.scheduling.k8s.io": Printed(
        columns("Value:integer, Global-Default:boolean, Age, PreemptionPolicy"), _priority_class
    ),
    "leases.coordination.k8s.io": Printed(columns("Holder, Age"), _lease),
    "rolebindings.rbac.authorization.k8s.io": Printed(_BINDING, _role_binding),
    "clusterrolebindings.rbac.authorization.k8s.io": Printed(_BINDING, _role_binding),
    "ingressclasses.networking.k8s.io": Printed(columns("Controller, Parameters, Age"), _ingress_class),
    "networkpolicies.networking.k8s.io": Printed(columns("Pod-Selector, Age"), _network_policy),
    "runtimeclasses.node.k8s.io": Printed(columns("Handler, Age"), _runtime_class),
    "volumeattachments.storage.k8s.io": Printed(columns("Attacher, PV, Node, Attached:boolean, Age"), _attachment),
    "servicecidrs.networking.k8s.io": Printed(columns("CIDRs, Age"), _service_cidr),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": Printed(columns("Webhooks:integer, Age"), _webhooks),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": Printed(
        columns("Webhooks:integer, Age"), _webhooks
    ),
    "csinodes.storage.k8s.io": Printed(columns("Drivers:integer, Age"), _csi_node),
    "csidrivers.storage.k8s.io": Printed(columns(_DRIVER), _csi_driver),
    "serviceaccounts": NAME_AND_AGE,
    "deviceclasses.resource.k8s.io": NAME_AND_AGE,
    "resourceclaimtemplates.resource.k8s.io": NAME_AND_AGE,
}
