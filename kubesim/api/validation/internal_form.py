"""Parts of objects as upstream prints them inside causes: as the JSON of its internal structs.

Those structs have no JSON tags, so that fields carry their Go names, absent ones are null and maps are sorted. A few
causes show such a value, two of them as a difference between old and new.

Upstream: pkg/apis/{core,policy}/types.go, apimachinery/pkg/util/diff/diff.go @v1.36
"""

from __future__ import annotations

import json
from typing import Any

from kubesim.api.objects import Object

_SOURCES = {
    "gcePersistentDisk": "GCEPersistentDisk",
    "awsElasticBlockStore": "AWSElasticBlockStore",
    "hostPath": "HostPath",
    "glusterfs": "Glusterfs",
    "nfs": "NFS",
    "rbd": "RBD",
    "quobyte": "Quobyte",
    "iscsi": "ISCSI",
    "flexVolume": "FlexVolume",
    "cinder": "Cinder",
    "cephfs": "CephFS",
    "fc": "FC",
    "flocker": "Flocker",
    "azureFile": "AzureFile",
    "vsphereVolume": "VsphereVolume",
    "azureDisk": "AzureDisk",
    "photonPersistentDisk": "PhotonPersistentDisk",
    "portworxVolume": "PortworxVolume",
    "scaleIO": "ScaleIO",
    "local": "Local",
    "storageos": "StorageOS",
    "csi": "CSI",
}
# Struct fields as (Go name, JSON name, value when absent); sources that are not here are printed with what they have.
_SOURCE_FIELDS: dict[str, tuple[tuple[str, str, Any], ...]] = {
    "hostPath": (("Path", "path", ""), ("Type", "type", None)),
    "local": (("Path", "path", ""), ("FSType", "fsType", None)),
    "nfs": (("Server", "server", ""), ("Path", "path", ""), ("ReadOnly", "readOnly", False)),
    "csi": (
        ("Driver", "driver", ""),
        ("VolumeHandle", "volumeHandle", ""),
        ("ReadOnly", "readOnly", False),
        ("FSType", "fsType", ""),
        ("VolumeAttributes", "volumeAttributes", None),
        ("ControllerPublishSecretRef", "controllerPublishSecretRef", None),
        ("NodeStageSecretRef", "nodeStageSecretRef", None),
        ("NodePublishSecretRef", "nodePublishSecretRef", None),
        ("ControllerExpandSecretRef", "controllerExpandSecretRef", None),
        ("NodeExpandSecretRef", "nodeExpandSecretRef", None),
    ),
}
_CLAIM_FIELDS = (
    ("AccessModes", "accessModes"),
    ("Selector", "selector"),
    ("Resources", "resources"),
    ("VolumeName", "volumeName"),
    ("StorageClassName", "storageClassName"),
    ("VolumeMode", "volumeMode"),
    ("DataSource", "dataSource"),
    ("DataSourceRef", "dataSourceRef"),
    ("VolumeAttributesClassName", "volumeAttributesClassName"),
)


def _sorted(mapping: Object | None) -> Object | None:
    return {key: mapping[key] for key in sorted(mapping)} if mapping else None


def claim_spec(spec: Object) -> Object:
    """A `PersistentVolumeClaimSpec`; absent and empty are alike."""
    form = {name: spec.get(key) for name, key in _CLAIM_FIELDS}
    resources = spec.get("resources") or {}
    form["Resources"] = {"Limits": _sorted(resources.get("limits")), "Requests": _sorted(resources.get("requests"))}
    form["VolumeName"] = spec.get("volumeName", "")
    form["AccessModes"] = spec.get("accessModes") or None
    for name, key in (("DataSource", "dataSource"), ("DataSourceRef", "dataSourceRef")):
        source = spec.get(key)
        if source is not None:
            form[name] = {"APIGroup": source.get("apiGroup"), "Kind": source["kind"], "Name": source["name"]}
    if form["DataSourceRef"] is not None:
        form["DataSourceRef"]["Namespace"] = spec["dataSourceRef"].get("namespace")
    return form


def volume_source(spec: Object) -> Object:
    """The `PersistentVolumeSource` of a volume's spec: one field per kind of source."""
    return {name: _source(key, spec.get(key)) for key, name in _SOURCES.items()}


def _source(key: str, source: Object | None) -> Object | None:
    if source is None:
        return None
    fields = _SOURCE_FIELDS.get(key)
    if fields is None:
        return {name[:1].upper() + name[1:]: source[name] for name in sorted(source)}
    form = {name: source.get(field, absent) for name, field, absent in fields}
    for name, value in form.items():
        if isinstance(value, dict):
            form[name] = _secret(value) if name.endswith("Ref") else _sorted(value)
    return form


def _secret(reference: Object) -> Object:
    return {"Name": reference.get("name", ""), "Namespace": reference.get("namespace", "")}


def volume_node_affinity(affinity: Object | None) -> Object | None:
    """A `VolumeNodeAffinity`."""
    if affinity is None:
        return None
    required = affinity.get("required")
    if required is None:
        return {"Required": None}
    terms = [
        {"MatchExpressions": _requirements(term, "matchExpressions"), "MatchFields": _requirements(term, "matchFields")}
        for term in required.get("nodeSelectorTerms") or ()
    ]
    return {"Required": {"NodeSelectorTerms": terms}}


def _requirements(term: Object, key: str) -> list[Object] | None:
    requirements = term.get(key)
    if not requirements:
        return None
    return [{"Key": each["key"], "Operator": each["operator"], "Values": each.get("values")} for each in requirements]


def service_port(protocol: str, port: int) -> Object:
    """A `ServicePort` of which only protocol and number are set."""
    return {"Name": "", "Protocol": protocol, "AppProtocol": None, "Port": port, "TargetPort": 0, "NodePort": 0}


def taint(value: Object) -> Object:
    """A `Taint`."""
    return {
        "Key": value.get("key", ""),
        "Value": value.get("value", ""),
        "Effect": value.get("effect", ""),
        "TimeAdded": value.get("timeAdded"),
    }


def budget_spec(spec: Object) -> Object:
    """A `PodDisruptionBudgetSpec`."""
    return {
        "MinAvailable": spec.get("minAvailable"),
        "Selector": spec.get("selector"),
        "MaxUnavailable": spec.get("maxUnavailable"),
        "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
    }


def difference(old: Object, new: Object) -> str:
    """A unified difference of two such forms, indented by one, with three lines of context."""
    from difflib import unified_diff

    before, after = _lines(old), _lines(new)
    lines = list(unified_diff(before, after))
    return "".join(lines[2:])


def _lines(form: Object) -> list[str]:
    return [f"{line}\n" for line in json.dumps(form, indent=1, ensure_ascii=False).split("\n")]
