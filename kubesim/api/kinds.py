"""Every built-in kind that a default Kubernetes 1.36 API server serves, one row each, and how to find a row.

The order is discovery's: core first, then the groups as `/apis` lists them, the preferred version of a group first.
Look-ups by a bare word follow that order, so `events` means the core kind.

Upstream: api/discovery/aggregated_v2.json, pkg/controlplane/instance.go:DefaultAPIResourceConfigSource @v1.36
"""

from __future__ import annotations

from kubesim.api.scheme import Kind

_SCHEMA_PACKAGES = {
    "": "io.k8s.api.core",
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
}

_NAMESPACED = True
_CLUSTER = False
_rows: list[Kind] = []


def _row(
    api_version: str,
    kind: str,
    plural: str,
    namespaced: bool,
    *,
    short: str = "",
    subresources: str = "",
    categories: str = "",
    modelled: bool = False,
) -> Kind:
    group, _, version = api_version.rpartition("/")
    package = _SCHEMA_PACKAGES.get(group) or f"io.k8s.api.{group.removesuffix('.k8s.io').split('.')[0]}"
    row = Kind(
        group,
        version,
        kind,
        plural,
        namespaced=namespaced,
        schema=f"{package}.{version}.{kind}",
        short_names=tuple(short.split()),
        subresources=tuple(subresources.split()),
        categories=tuple(categories.split()),
        modelled=modelled,
    )
    _rows.append(row)
    return row


# core
BINDING = _row("v1", "Binding", "bindings", _NAMESPACED)
COMPONENT_STATUS = _row("v1", "ComponentStatus", "componentstatuses", _CLUSTER, short="cs")
CONFIG_MAP = _row("v1", "ConfigMap", "configmaps", _NAMESPACED, short="cm", modelled=True)
ENDPOINTS = _row("v1", "Endpoints", "endpoints", _NAMESPACED, short="ep", modelled=True)
EVENT = _row("v1", "Event", "events", _NAMESPACED, short="ev", modelled=True)
LIMIT_RANGE = _row("v1", "LimitRange", "limitranges", _NAMESPACED, short="limits")
NAMESPACE = _row("v1", "Namespace", "namespaces", _CLUSTER, short="ns", subresources="finalize status", modelled=True)
NODE = _row("v1", "Node", "nodes", _CLUSTER, short="no", subresources="proxy status", modelled=True)
PERSISTENT_VOLUME_CLAIM = _row(
    "v1",
    "PersistentVolumeClaim",
    "persistentvolumeclaims",
    _NAMESPACED,
    short="pvc",
    subresources="status",
    modelled=True,
)
PERSISTENT_VOLUME = _row(
    "v1", "PersistentVolume", "persistentvolumes", _CLUSTER, short="pv", subresources="status", modelled=True
)
POD = _row(
    "v1",
    "Pod",
    "pods",
    _NAMESPACED,
    short="po",
    subresources="attach binding ephemeralcontainers eviction exec log portforward proxy resize status",
    categories="all",
    modelled=True,
)
POD_TEMPLATE = _row("v1", "PodTemplate", "podtemplates", _NAMESPACED)
REPLICATION_CONTROLLER = _row(
    "v1",
    "ReplicationController",
    "replicationcontrollers",
    _NAMESPACED,
    short="rc",
    subresources="scale status",
    categories="all",
)
RESOURCE_QUOTA = _row("v1", "ResourceQuota", "resourcequotas", _NAMESPACED, short="quota", subresources="status")
SECRET = _row("v1", "Secret", "secrets", _NAMESPACED, modelled=True)
SERVICE_ACCOUNT = _row(
    "v1", "ServiceAccount", "serviceaccounts", _NAMESPACED, short="sa", subresources="token", modelled=True
)
SERVICE = _row(
    "v1", "Service", "services", _NAMESPACED, short="svc", subresources="proxy status", categories="all", modelled=True
)

# apiregistration.k8s.io
API_SERVICE = _row(
    "apiregistration.k8s.io/v1",
    "APIService",
    "apiservices",
    _CLUSTER,
    subresources="status",
    categories="api-extensions",
)

# apps
CONTROLLER_REVISION = _row("apps/v1", "ControllerRevision", "controllerrevisions", _NAMESPACED, modelled=True)
DAEMON_SET = _row(
    "apps/v1", "DaemonSet", "daemonsets", _NAMESPACED, short="ds", subresources="status", categories="all"
)
DEPLOYMENT = _row(
    "apps/v1",
    "Deployment",
    "deployments",
    _NAMESPACED,
    short="deploy",
    subresources="scale status",
    categories="all",
    modelled=True,
)
REPLICA_SET = _row(
    "apps/v1",
    "ReplicaSet",
    "replicasets",
    _NAMESPACED,
    short="rs",
    subresources="scale status",
    categories="all",
    modelled=True,
)
STATEFUL_SET = _row(
    "apps/v1",
    "StatefulSet",
    "statefulsets",
    _NAMESPACED,
    short="sts",
    subresources="scale status",
    categories="all",
    modelled=True,
)

# events.k8s.io
EVENTS_K8S_IO_EVENT = _row("events.k8s.io/v1", "Event", "events", _NAMESPACED, short="ev", modelled=True)

# authentication.k8s.io
SELF_SUBJECT_REVIEW = _row("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", _CLUSTER)
TOKEN_REVIEW = _row("authentication.k8s.io/v1", "TokenReview", "tokenreviews", _CLUSTER)

# authorization.k8s.io
LOCAL_SUBJECT_ACCESS_REVIEW = _row(
    "authorization.k8s.io/v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", _NAMESPACED
)
SELF_SUBJECT_ACCESS_REVIEW = _row(
    "authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", _CLUSTER
)
SELF_SUBJECT_RULES_REVIEW = _row(
    "authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", _CLUSTER
)
SUBJECT_ACCESS_REVIEW = _row("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", _CLUSTER)

# autoscaling
HORIZONTAL_POD_AUTOSCALER = _row(
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    _NAMESPACED,
    short="hpa",
    subresources="status",
    categories="all",
)
HORIZONTAL_POD_AUTOSCALER_V1 = _row(
    "autoscaling/v1",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    _NAMESPACED,
    short="hpa",
    subresources="status",
    categories="all",
)

# batch
CRON_JOB = _row("batch/v1", "CronJob", "cronjobs", _NAMESPACED, short="cj", subresources="status", categories="all")
JOB = _row("batch/v1", "Job", "jobs", _NAMESPACED, subresources="status", categories="all")

# certificates.k8s.io
CERTIFICATE_SIGNING_REQUEST = _row(
    "certificates.k8s.io/v1",
    "CertificateSigningRequest",
    "certificatesigningrequests",
    _CLUSTER,
    short="csr",
    subresources="approval status",
)

# networking.k8s.io
INGRESS_CLASS = _row("networking.k8s.io/v1", "IngressClass", "ingressclasses", _CLUSTER)
INGRESS = _row("networking.k8s.io/v1", "Ingress", "ingresses", _NAMESPACED, short="ing", subresources="status")
IP_ADDRESS = _row("networking.k8s.io/v1", "IPAddress", "ipaddresses", _CLUSTER, short="ip")
NETWORK_POLICY = _row("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", _NAMESPACED, short="netpol")
SERVICE_CIDR = _row("networking.k8s.io/v1", "ServiceCIDR", "servicecidrs", _CLUSTER, subresources="status")

# policy
POD_DISRUPTION_BUDGET = _row(
    "policy/v1",
    "PodDisruptionBudget",
    "poddisruptionbudgets",
    _NAMESPACED,
    short="pdb",
    subresources="status",
    modelled=True,
)

# rbac.authorization.k8s.io
CLUSTER_ROLE_BINDING = _row("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", _CLUSTER)
CLUSTER_ROLE = _row("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", _CLUSTER)
ROLE_BINDING = _row("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", _NAMESPACED)
ROLE = _row("rbac.authorization.k8s.io/v1", "Role", "roles", _NAMESPACED)

# storage.k8s.io
CSI_DRIVER = _row("storage.k8s.io/v1", "CSIDriver", "csidrivers", _CLUSTER)
CSI_NODE = _row("storage.k8s.io/v1", "CSINode", "csinodes", _CLUSTER)
CSI_STORAGE_CAPACITY = _row("storage.k8s.io/v1", "CSIStorageCapacity", "csistoragecapacities", _NAMESPACED)
STORAGE_CLASS = _row("storage.k8s.io/v1", "StorageClass", "storageclasses", _CLUSTER, short="sc", modelled=True)
VOLUME_ATTACHMENT = _row("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", _CLUSTER, subresources="status")
VOLUME_ATTRIBUTES_CLASS = _row(
    "storage.k8s.io/v1", "VolumeAttributesClass", "volumeattributesclasses", _CLUSTER, short="vac"
)

# admissionregistration.k8s.io
MUTATING_ADMISSION_POLICY = _row(
    "admissionregistration.k8s.io/v1",
    "MutatingAdmissionPolicy",
    "mutatingadmissionpolicies",
    _CLUSTER,
    categories="api-extensions",
)
MUTATING_ADMISSION_POLICY_BINDING = _row(
    "admissionregistration.k8s.io/v1",
    "MutatingAdmissionPolicyBinding",
    "mutatingadmissionpolicybindings",
    _CLUSTER,
    categories="api-extensions",
)
MUTATING_WEBHOOK_CONFIGURATION = _row(
    "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    _CLUSTER,
    categories="api-extensions",
)
VALIDATING_ADMISSION_POLICY = _row(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    _CLUSTER,
    subresources="status",
    categories="api-extensions",
)
VALIDATING_ADMISSION_POLICY_BINDING = _row(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    _CLUSTER,
    categories="api-extensions",
)
VALIDATING_WEBHOOK_CONFIGURATION = _row(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    _CLUSTER,
    categories="api-extensions",
)

# apiextensions.k8s.io
CUSTOM_RESOURCE_DEFINITION = _row(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    _CLUSTER,
    short="crd crds",
    subresources="status",
    categories="api-extensions",
)

# scheduling.k8s.io
PRIORITY_CLASS = _row("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", _CLUSTER, short="pc", modelled=True)

# coordination.k8s.io
LEASE = _row("coordination.k8s.io/v1", "Lease", "leases", _NAMESPACED, modelled=True)

# node.k8s.io
RUNTIME_CLASS = _row("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", _CLUSTER)

# discovery.k8s.io
ENDPOINT_SLICE = _row("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", _NAMESPACED, modelled=True)

# resource.k8s.io
DEVICE_CLASS = _row("resource.k8s.io/v1", "DeviceClass", "deviceclasses", _CLUSTER)
RESOURCE_CLAIM = _row("resource.k8s.io/v1", "ResourceClaim", "resourceclaims", _NAMESPACED, subresources="status")
RESOURCE_CLAIM_TEMPLATE = _row("resource.k8s.io/v1", "ResourceClaimTemplate", "resourceclaimtemplates", _NAMESPACED)
RESOURCE_SLICE = _row("resource.k8s.io/v1", "ResourceSlice", "resourceslices", _CLUSTER)

# flowcontrol.apiserver.k8s.io
FLOW_SCHEMA = _row("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "flowschemas", _CLUSTER, subresources="status")
PRIORITY_LEVEL_CONFIGURATION = _row(
    "flowcontrol.apiserver.k8s.io/v1",
    "PriorityLevelConfiguration",
    "prioritylevelconfigurations",
    _CLUSTER,
    subresources="status",
)

ALL_KINDS: tuple[Kind, ...] = tuple(_rows)

_BY_KIND: dict[tuple[str, str], Kind] = {(row.api_version, row.kind): row for row in ALL_KINDS}
_BY_RESOURCE: dict[tuple[str, str, str], Kind] = {(row.group, row.version, row.plural): row for row in ALL_KINDS}
_BY_WORD: dict[str, list[Kind]] = {}
for _kind in ALL_KINDS:
    for _word in dict.fromkeys((_kind.plural, _kind.singular, *_kind.short_names)):
        _BY_WORD.setdefault(_word, []).append(_kind)

_READ = ("get", "list")
_ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_CREATE_ONLY_GROUPS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})


def find_kind(api_version: str, kind: str) -> Kind | None:
    """The row for an object's `apiVersion` and `kind`, both spelt exactly."""
    return _BY_KIND.get((api_version, kind))


def find_resource(group: str, version: str, plural: str) -> Kind | None:
    """The row for the parts of a URL; `group` is empty for core."""
    return _BY_RESOURCE.get((group, version, plural))


def find_by_word(word: str) -> Kind | None:
    """The row that kubectl would take a word for: plural, singular, short name or kind in any case.

    The word may carry a group (`deployments.apps`, `events.events` by prefix) or a version and a group
    (`deployments.v1.apps`).

    Upstream: apimachinery/pkg/api/meta/restmapper.go:ResourcesFor @v1.36
    """
    name, _, rest = word.lower().partition(".")
    rows = _BY_WORD.get(name, ())
    if not rows or not rest:
        return rows[0] if rows else None
    version, _, group = rest.partition(".")
    for row in rows:
        if row.version == version and row.group == group:
            return row
    for row in rows:
        if row.group == rest:
            return row
    return next((row for row in rows if row.group.startswith(rest)), None)


def nearest_kind(api_version: str, kind: str) -> str:
    """The row most likely meant by a pair that `find_kind` does not know, e.g. `apps/v1 Deployment`; empty if none is.

    The kind's name weighs more than its version: a known kind in the wrong version is suggested in its right one.
    """
    from difflib import SequenceMatcher, get_close_matches

    rows = _BY_WORD.get(kind.lower())
    if rows is None:
        close = get_close_matches(kind.lower(), [row.singular for row in ALL_KINDS], n=1, cutoff=0.7)
        if not close:
            return ""
        rows = _BY_WORD[close[0]]
    best = max(rows, key=lambda row: SequenceMatcher(None, row.api_version, api_version).ratio())
    return f"{best.api_version} {best.kind}"


def verbs_of(kind: Kind) -> tuple[str, ...]:
    """The verbs that discovery lists for the kind's main resource."""
    if kind is BINDING or kind.group in _CREATE_ONLY_GROUPS:
        return ("create",)
    if kind is COMPONENT_STATUS:
        return _READ
    if kind is NAMESPACE:
        return tuple(verb for verb in _ALL_VERBS if verb != "deletecollection")
    return _ALL_VERBS
