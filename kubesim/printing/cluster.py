"""Rows of nodes, Services, storage and configuration."""

from __future__ import annotations

from typing import Any, Final

from kubesim.api.conditions import find_condition
from kubesim.api.objects import Object
from kubesim.printing.row import (
    NONE,
    UNKNOWN,
    UNSET,
    Cells,
    Printed,
    access_modes,
    age_of,
    columns,
    first_few,
    labels_text,
    name_of,
    spec_of,
    status_of,
)

_ROLE: Final = "node-role.kubernetes.io/"
_ROLE_LABEL: Final = "kubernetes.io/role"
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"


def _node(obj: Object, now_ns: int) -> Cells:
    spec, status = spec_of(obj), status_of(obj)
    ready = find_condition(status.get("conditions"), "Ready")
    state = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    if spec.get("unschedulable"):
        state += ",SchedulingDisabled"
    info, addresses = status.get("nodeInfo") or {}, status.get("addresses") or ()
    kernel = info.get("kernelVersion") or UNKNOWN
    if info.get("architecture"):
        kernel += f" ({info['architecture']})"
    return (
        name_of(obj),
        state,
        _roles(obj) or NONE,
        age_of(obj, now_ns),
        info.get("kubeletVersion", ""),
        _address(addresses, "InternalIP"),
        _address(addresses, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        kernel,
        info.get("containerRuntimeVersion") or UNKNOWN,
    )


def _roles(node: Object) -> str:
    roles = set()
    for label, value in (node["metadata"].get("labels") or {}).items():
        if label.startswith(_ROLE):
            roles.add(label.removeprefix(_ROLE))
        elif label == _ROLE_LABEL:
            roles.add(value)
    return ",".join(sorted(roles - {""}))


def _address(addresses: Any, kind: str) -> str:
    return next((each["address"] for each in addresses if each["type"] == kind), NONE)


def _service(obj: Object, now_ns: int) -> Cells:
    spec = spec_of(obj)
    ports = ",".join(
        f"{port['port']}:{port['nodePort']}/{port['protocol']}"
        if port.get("nodePort")
        else f"{port['port']}/{port['protocol']}"
        for port in spec.get("ports") or ()
    )
    return (
        name_of(obj),
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP") or NONE,
        _external_ip(obj),
        ports or NONE,
        age_of(obj, now_ns),
        labels_text(spec.get("selector")),
    )


def _external_ip(service: Object) -> str:
    spec = spec_of(service)
    external = list(spec.get("externalIPs") or ())
    kind = spec.get("type", "ClusterIP")
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind == "LoadBalancer":
        return ",".join([*_ingress_addresses(service), *external]) or "<pending>"
    return ",".join(external) or NONE


def _ingress_addresses(obj: Object) -> list[str]:
    ingress = (status_of(obj).get("loadBalancer") or {}).get("ingress") or ()
    return sorted({each.get("ip") or each.get("hostname", "") for each in ingress} - {""})


def _endpoints(obj: Object, now_ns: int) -> Cells:
    listed: list[str] = []
    for subset in obj.get("subsets") or ():
        addresses = [each["ip"] for each in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        listed += [_joined(address, port["port"]) for port in ports for address in addresses] if ports else addresses
    return name_of(obj), first_few(listed) if obj.get("subsets") else NONE, age_of(obj, now_ns)


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _endpoint_slice(obj: Object, now_ns: int) -> Cells:
    ports = [str(port.get("port", "*")) for port in obj.get("ports") or ()]
    addresses = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
    return (
        name_of(obj),
        obj.get("addressType", ""),
        first_few(ports) if ports else UNSET,
        first_few(addresses) if addresses else UNSET,
        age_of(obj, now_ns),
    )


def _claim(obj: Object, now_ns: int) -> Cells:
    spec, status = spec_of(obj), status_of(obj)
    is_bound = bool(spec.get("volumeName"))
    return (
        name_of(obj),
        "Terminating" if "deletionTimestamp" in obj["metadata"] else status.get("phase", "Pending"),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "") if is_bound else "",
        access_modes(status.get("accessModes") or ()) if is_bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or UNSET,
        age_of(obj, now_ns),
        spec.get("volumeMode") or UNSET,
    )


def _volume(obj: Object, now_ns: int) -> Cells:
    spec, status = spec_of(obj), status_of(obj)
    claim = spec.get("claimRef")
    return (
        name_of(obj),
        (spec.get("capacity") or {}).get("storage", ""),
        access_modes(spec.get("accessModes") or ()),
        spec.get("persistentVolumeReclaimPolicy", ""),
        "Terminating" if "deletionTimestamp" in obj["metadata"] else status.get("phase", ""),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or UNSET,
        status.get("reason", ""),
        age_of(obj, now_ns),
        spec.get("volumeMode") or UNSET,
    )


def _storage_class(obj: Object, now_ns: int) -> Cells:
    annotations = obj["metadata"].get("annotations") or {}
    is_default = annotations.get(_DEFAULT_CLASS) == "true"
    return (
        f"{name_of(obj)} (default)" if is_default else name_of(obj),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", UNSET),
        bool(obj.get("allowVolumeExpansion")),
        age_of(obj, now_ns),
    )


def _namespace(obj: Object, now_ns: int) -> Cells:
    return name_of(obj), status_of(obj).get("phase", ""), age_of(obj, now_ns)


def _config_map(obj: Object, now_ns: int) -> Cells:
    return name_of(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), age_of(obj, now_ns)


def _secret(obj: Object, now_ns: int) -> Cells:
    return name_of(obj), obj.get("type", ""), len(obj.get("data") or ()), age_of(obj, now_ns)


def _quota(obj: Object, now_ns: int) -> Cells:
    status = status_of(obj)
    hard, used = status.get("hard") or {}, status.get("used") or {}
    texts = {name: f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)}
    requests = ", ".join(text for name, text in texts.items() if not name.startswith("limits."))
    limits = ", ".join(text for name, text in texts.items() if name.startswith("limits."))
    return name_of(obj), requests, limits, age_of(obj, now_ns)


def _budget(obj: Object, now_ns: int) -> Cells:
    spec = spec_of(obj)
    return (
        name_of(obj),
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        status_of(obj).get("disruptionsAllowed", 0),
        age_of(obj, now_ns),
    )


def _ingress(obj: Object, now_ns: int) -> Cells:
    spec = spec_of(obj)
    rules = spec.get("rules") or ()
    hosts = [rule["host"] for rule in rules[:3] if rule.get("host")]
    text = ",".join(hosts) or "*"
    return (
        name_of(obj),
        spec.get("ingressClassName") or NONE,
        f"{text} + {len(rules) - 3} more..." if hosts and len(rules) > 3 else text,
        ",".join(_ingress_addresses(obj)),
        "80, 443" if spec.get("tls") else "80",
        age_of(obj, now_ns),
    )


_VOLUME: Final = (
    "Capacity, Access Modes, Reclaim Policy, Status, Claim, StorageClass, VolumeAttributesClass, Reason, Age"
)
_CLAIM: Final = "Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, Age"
_STORAGE: Final = "Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion, Age"
_MACHINE: Final = "Internal-IP, External-IP, OS-Image, Kernel-Version, Container-Runtime"
CLUSTER: Final[dict[str, Printed]] = {
    "nodes": Printed(columns("Status, Roles, Age, Version", _MACHINE), _node),
    "namespaces": Printed(columns("Status, Age"), _namespace),
    "services": Printed(columns("Type, Cluster-IP, External-IP, Port(s), Age", "Selector"), _service),
    "endpoints": Printed(columns("Endpoints, Age"), _endpoints),
    "endpointslices.discovery.k8s.io": Printed(columns("AddressType, Ports, Endpoints, Age"), _endpoint_slice),
    "persistentvolumeclaims": Printed(columns(_CLAIM, "VolumeMode"), _claim),
    "persistentvolumes": Printed(columns(_VOLUME, "VolumeMode"), _volume),
    "storageclasses.storage.k8s.io": Printed(columns(_STORAGE), _storage_class),
    "configmaps": Printed(columns("Data, Age"), _config_map),
    "secrets": Printed(columns("Type, Data, Age"), _secret),
    "resourcequotas": Printed(columns("Request, Limit, Age"), _quota),
    "poddisruptionbudgets.policy": Printed(
        columns("Min Available, Max Unavailable, Allowed Disruptions:integer, Age"), _budget
    ),
    "ingresses.networking.k8s.io": Printed(columns("Class, Hosts, Address, Ports, Age"), _ingress),
}
