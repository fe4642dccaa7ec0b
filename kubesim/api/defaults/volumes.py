"""Defaults of a Pod's volumes.

Upstream: pkg/apis/core/v1/defaults.go:SetDefaults_Volume and after, zz_generated.defaults.go @v1.36
"""

from __future__ import annotations

from functools import partial
from typing import Any

from kubesim.api.defaults import fill
from kubesim.api.defaults.container import default_field_ref, default_pull_policy, default_resource_field_ref
from kubesim.api.defaults.storage import default_claim_spec
from kubesim.api.objects import Object

_MODE = {"defaultMode": 0o644}
# Pointers, which only an absent field sets, and plain values, which an empty one sets too.
_ABSENT: dict[str, dict[str, Any]] = {
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False},
    "configMap": _MODE,
    "downwardAPI": _MODE,
    "hostPath": {"type": ""},
    "projected": _MODE,
    "secret": _MODE,
}
_ZERO: dict[str, dict[str, Any]] = {
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "scaleIO": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
}


def default_volume(volume: Object) -> Object:
    """A volume with its defaults; one without a source is an emptyDir."""
    sources = [name for name, source in volume.items() if name != "name" and source is not None]
    if not sources:
        return {**volume, "emptyDir": {}}
    for name in sources:
        if name in _ABSENT:
            volume = fill.within(volume, name, partial(fill.absent, defaults=_ABSENT[name]))
        elif name in _ZERO:
            volume = fill.within(volume, name, partial(fill.zero, defaults=_ZERO[name]))
    volume = fill.within(volume, "downwardAPI", _files)
    volume = fill.within(volume, "projected", _projected)
    volume = fill.within(volume, "ephemeral", _ephemeral)
    return fill.within(volume, "image", _image)


def _files(source: Object) -> Object:
    return fill.each(source, "items", _file)


def _file(file: Object) -> Object:
    file = fill.within(file, "fieldRef", default_field_ref)
    return fill.within(file, "resourceFieldRef", default_resource_field_ref)


def _projected(source: Object) -> Object:
    return fill.each(source, "sources", _projection)


def _projection(projection: Object) -> Object:
    projection = fill.within(projection, "downwardAPI", _files)
    return fill.within(projection, "serviceAccountToken", _token)


_token = partial(fill.absent, defaults={"expirationSeconds": 3600})


def _ephemeral(source: Object) -> Object:
    return fill.within(source, "volumeClaimTemplate", _claim_template)


def _claim_template(template: Object) -> Object:
    template = fill.absent(template, {"metadata": {}})
    return fill.within(template, "spec", default_claim_spec)


def _image(source: Object) -> Object:
    if source.get("pullPolicy"):
        return source
    return {**source, "pullPolicy": default_pull_policy(source.get("reference", ""))}
