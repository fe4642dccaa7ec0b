"""Defaults of the kinds that hold a Pod template.

Upstream: pkg/apis/apps/v1/defaults.go @v1.36
"""

from __future__ import annotations

from typing import Any

from kubesim.api.defaults import fill
from kubesim.api.defaults.pod import default_template
from kubesim.api.defaults.storage import default_claim_spec
from kubesim.api.objects import Object

_DEPLOYMENT: dict[str, Any] = {
    "progressDeadlineSeconds": 600,
    "replicas": 1,
    "revisionHistoryLimit": 10,
    "strategy": {},
    "template": {},
}
_STATEFUL_SET: dict[str, Any] = {
    "persistentVolumeClaimRetentionPolicy": {},
    "replicas": 1,
    "revisionHistoryLimit": 10,
    "serviceName": "",
    "template": {},
    "updateStrategy": {},
}
_NO_SPEC: dict[str, Any] = {"spec": {}}
_ROLLING_UPDATE = {"maxSurge": "25%", "maxUnavailable": "25%"}


def _deployment(deployment: Object) -> Object:
    return fill.within(fill.absent(deployment, _NO_SPEC), "spec", _deployment_spec)


def _deployment_spec(spec: Object) -> Object:
    spec = fill.absent(spec, _DEPLOYMENT)
    spec = fill.within(spec, "strategy", _strategy)
    return fill.within(spec, "template", default_template)


def _strategy(strategy: Object) -> Object:
    strategy = fill.zero(strategy, {"type": "RollingUpdate"})
    if strategy["type"] != "RollingUpdate":
        return strategy
    strategy = fill.absent(strategy, {"rollingUpdate": {}})
    return fill.within(strategy, "rollingUpdate", _rolling_update)


def _rolling_update(rolling: Object) -> Object:
    return fill.absent(rolling, _ROLLING_UPDATE)


def _replica_set(replica_set: Object) -> Object:
    return fill.within(fill.absent(replica_set, _NO_SPEC), "spec", _replica_set_spec)


def _replica_set_spec(spec: Object) -> Object:
    spec = fill.absent(spec, {"replicas": 1, "template": {}})
    return fill.within(spec, "template", default_template)


def _stateful_set(stateful_set: Object) -> Object:
    return fill.within(fill.absent(stateful_set, _NO_SPEC), "spec", _stateful_set_spec)


def _stateful_set_spec(spec: Object) -> Object:
    spec = fill.zero(spec, {"podManagementPolicy": "OrderedReady"})
    spec = fill.absent(spec, _STATEFUL_SET)
    spec = fill.within(spec, "updateStrategy", _update_strategy)
    spec = fill.within(spec, "persistentVolumeClaimRetentionPolicy", _retention_policy)
    spec = fill.within(spec, "template", default_template)
    return fill.each(spec, "volumeClaimTemplates", _claim)


def _update_strategy(strategy: Object) -> Object:
    if not strategy.get("type"):
        strategy = fill.absent({**strategy, "type": "RollingUpdate"}, {"rollingUpdate": {}})
    if strategy["type"] != "RollingUpdate":
        return strategy
    return fill.within(strategy, "rollingUpdate", _partition)


def _partition(rolling: Object) -> Object:
    return fill.absent(rolling, {"partition": 0})


def _retention_policy(policy: Object) -> Object:
    return fill.zero(policy, {"whenDeleted": "Retain", "whenScaled": "Retain"})


def _claim(claim: Object) -> Object:
    claim = fill.zero(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
    claim = fill.absent(claim, {"metadata": {}, "spec": {}, "status": {}})
    claim = fill.within(claim, "spec", default_claim_spec)
    return fill.within(claim, "status", _claim_status)


def _claim_status(status: Object) -> Object:
    return fill.zero(status, {"phase": "Pending"})


def _pod_template(pod_template: Object) -> Object:
    return fill.within(fill.absent(pod_template, {"template": {}}), "template", default_template)


DEFAULTS = {
    "deployments.apps": _deployment,
    "podtemplates": _pod_template,
    "replicasets.apps": _replica_set,
    "statefulsets.apps": _stateful_set,
}
