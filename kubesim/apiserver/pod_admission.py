"""Admission of Pods: service account and its token volume, priority, default tolerations.

All of it depends on the Pod's spec, the service account and the priority classes alone, but for the random name of the
token volume. Pods of one ReplicaSet share their template's spec, so the admitted spec is made once with a place-holder
for that name, checked once, and each Pod then gets its own name put in.
Upstream: plugin/pkg/admission/{serviceaccount,priority,defaulttolerationseconds}/admission.go @v1.36
"""

from __future__ import annotations

from typing import NamedTuple, final

from kubesim.api.objects import Object
from kubesim.apiserver.admission import asked_name, topology_labels
from kubesim.errors import ApiError, forbidden
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import MILLISECOND
from kubesim.store.log import Store

_TOKEN_PREFIX = "kube-api-access-"
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
# A valid name of the right length; `with_token_name` replaces it by identity.
_PLACE_HOLDER = _TOKEN_PREFIX + "00000"
_MOUNT: Object = {"name": _PLACE_HOLDER, "readOnly": True, "mountPath": _TOKEN_PATH}
# Upstream: pkg/serviceaccount/claims.go:WarnOnlyBoundTokenExpirationSeconds, TokenVolumeSource @v1.36
_TOKEN_SOURCE: Object = {
    "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
            }
        },
    ],
    "defaultMode": 420,
}
_NOT_READY: Object = {
    "key": "node.kubernetes.io/not-ready",
    "operator": "Exists",
    "effect": "NoExecute",
    "tolerationSeconds": 300,
}
_UNREACHABLE: Object = {**_NOT_READY, "key": "node.kubernetes.io/unreachable"}
_SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
# How often the plugin looks for a namespace's default account, which a controller is about to create.
_DEFAULT_ACCOUNT_TRIES = 10
_MEMO_MAX = 1024


class TryAgain(Exception):  # noqa: N818 - it is no error: the server holds the request and looks again
    """The server holds the request and looks again after `after_ns`."""

    def __init__(self, after_ns: int) -> None:
        super().__init__(after_ns)
        self.after_ns = after_ns


class _Admitted(NamedTuple):
    spec: Object
    account: Object | None
    classes_revision: int
    result: Object


@final
class PodAdmission:
    """Admits Pods against the accounts and priority classes in the store."""

    def __init__(self, store: Store, stream: Stream) -> None:
        self._store = store
        self._stream = stream
        self._memo: dict[tuple[int, str], _Admitted] = {}

    def admit(self, pod: Object, namespace: str, attempt: int) -> Object:
        """The Pod with everything added; its token volume still has the place-holder's name.

        Raises:
            ApiError: 403, the service account or priority class isn't there.
            TryAgain: the namespace's default account isn't there yet.
        """
        spec = pod["spec"]
        if "containers" not in spec:
            # Validation will say that they are missing; whatever comes before it may count on a list.
            spec = {**spec, "containers": []}
            pod = {**pod, "spec": spec}
        if spec.get("nodeName"):
            pod = _with_topology_labels(self._store, pod)
        memo_key = (id(spec), namespace)
        memo = self._memo.get(memo_key)
        name = spec.get("serviceAccountName") or "default"
        account = self._store.get("serviceaccounts", (namespace, name))
        classes = self._store.table("priorityclasses.scheduling.k8s.io")
        classes_revision = int(classes.history[-1].revision) if classes.history else 0
        if memo is not None and memo.account is account and memo.classes_revision == classes_revision:
            return {**pod, "spec": memo.result}
        if account is None:
            self._missing_account(pod, namespace, name, attempt)
        result = _with_priority(self._store, pod, self._with_account(spec, name, account))
        result = _with_tolerations(result)
        if len(self._memo) >= _MEMO_MAX:
            self._memo.clear()
        self._memo[memo_key] = _Admitted(spec, account, classes_revision, result)
        return {**pod, "spec": result}

    def _missing_account(self, pod: Object, namespace: str, name: str, attempt: int) -> None:
        tries = _DEFAULT_ACCOUNT_TRIES if name == "default" else 1
        if attempt + 1 < tries:
            raise TryAgain((100 + self._stream.below(100)) * MILLISECOND)
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise forbidden("pods", "", asked_name(pod["metadata"]), why)

    def _with_account(self, spec: Object, name: str, account: Object | None) -> Object:
        spec = {**spec, "serviceAccountName": name, "serviceAccount": name}
        mounts = spec.get("automountServiceAccountToken")
        if mounts is None:
            mounts = True if account is None else account.get("automountServiceAccountToken", True)
        if account is not None and account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
            spec["imagePullSecrets"] = account["imagePullSecrets"]
        if not mounts or any(volume.get("name", "").startswith(_TOKEN_PREFIX) for volume in spec.get("volumes") or ()):
            return spec
        for field in ("initContainers", "containers"):
            if field in spec:
                spec[field] = [_with_token_mount(container) for container in spec[field]]
        if any(
            _MOUNT in (container.get("volumeMounts") or ())
            for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
        ):
            spec["volumes"] = [*(spec.get("volumes") or ()), {"name": _PLACE_HOLDER, "projected": _TOKEN_SOURCE}]
        return spec

    def with_token_name(self, pod: Object) -> Object:
        """The admitted Pod with a random name for its token volume in place of the place-holder."""
        spec = pod["spec"]
        volumes = spec.get("volumes")
        if not volumes or volumes[-1]["name"] is not _PLACE_HOLDER:
            return pod
        name = _TOKEN_PREFIX + self._stream.suffix()
        mount = {**_MOUNT, "name": name}
        spec = {**spec, "volumes": [*volumes[:-1], {"name": name, "projected": _TOKEN_SOURCE}]}
        for field in ("initContainers", "containers"):
            containers = spec.get(field)
            if containers:
                spec[field] = [_with_mount_replaced(container, mount) for container in containers]
        return {**pod, "spec": spec}


def _with_topology_labels(store: Store, pod: Object) -> Object:
    """PodTopologyLabels for a Pod that comes with its node."""
    labels = topology_labels(store, pod["spec"]["nodeName"])
    if not labels:
        return pod
    metadata = pod["metadata"]
    return {**pod, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}}


def _with_token_mount(container: Object) -> Object:
    mounts = container.get("volumeMounts") or []
    if any(mount["mountPath"] == _TOKEN_PATH for mount in mounts):
        return container
    return {**container, "volumeMounts": [*mounts, _MOUNT]}


def _with_mount_replaced(container: Object, mount: Object) -> Object:
    mounts = container.get("volumeMounts")
    if not mounts or mounts[-1] is not _MOUNT:
        return container
    return {**container, "volumeMounts": [*mounts[:-1], mount]}


def _with_priority(store: Store, pod: Object, spec: Object) -> Object:
    class_name = spec.get("priorityClassName", "")
    policy = "PreemptLowerPriority"
    if not class_name:
        default = _default_class(store)
        priority = 0 if default is None else default["value"]
        if default is not None:
            class_name = default["metadata"]["name"]
            policy = default.get("preemptionPolicy", policy)
    elif class_name in _SYSTEM_CLASSES:
        priority = _SYSTEM_CLASSES[class_name]
    else:
        found = store.get("priorityclasses.scheduling.k8s.io", ("", class_name))
        if found is None:
            raise forbidden(
                "pods", "", asked_name(pod["metadata"]), f"no PriorityClass with name {class_name} was found"
            )
        priority = found["value"]
        policy = found.get("preemptionPolicy", policy)
    if spec.get("priority", priority) != priority:
        raise _priority_given(pod, spec["priority"], priority)
    spec = {**spec, "priority": priority, "preemptionPolicy": policy}
    if class_name:
        spec["priorityClassName"] = class_name
    return spec


def readmit(pod: Object, old: Object) -> Object:
    """An updated Pod with what its author has left out and admission had added: priority, tolerations.

    Upstream: plugin/pkg/admission/priority/admission.go:admitPod, defaulttolerationseconds/admission.go:Admit @v1.36
    """
    spec, before = pod["spec"], old["spec"]
    if spec is before:
        return pod
    kept = {name: before[name] for name in ("priority", "preemptionPolicy") if name in before and name not in spec}
    return {**pod, "spec": _with_tolerations({**spec, **kept} if kept else spec)}


def _default_class(store: Store) -> Object | None:
    """The global default with the lowest value, which is what upstream falls back to among several."""
    defaults = [
        found
        for found in store.table("priorityclasses.scheduling.k8s.io").objects.values()
        if found.get("globalDefault")
    ]
    return min(defaults, key=lambda found: int(found["value"])) if defaults else None


def _priority_given(pod: Object, given: int, computed: int) -> ApiError:
    why = (
        f"the integer value of priority ({given}) must not be provided in pod spec; priority admission controller "
        f"computed {computed} from the given PriorityClass name"
    )
    return forbidden("pods", "", asked_name(pod["metadata"]), why)


def _with_tolerations(spec: Object) -> Object:
    tolerations = spec.get("tolerations") or []
    added = [
        default
        for default in (_NOT_READY, _UNREACHABLE)
        if not any(
            toleration.get("key", default["key"]) in ("", default["key"])
            and toleration.get("effect", "NoExecute") in ("", "NoExecute")
            for toleration in tolerations
        )
    ]
    return {**spec, "tolerations": [*tolerations, *added]} if added else spec
