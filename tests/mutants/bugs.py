"""Bugs that Kubernetes had or has, in their old forms as edits of our fixed one."""

from __future__ import annotations

_REPLICASET = "kubesim.controllers.replicaset"
_CONSISTENCY = "kubesim.controllers.consistency"
_INFORMER = "kubesim.client.informer"
