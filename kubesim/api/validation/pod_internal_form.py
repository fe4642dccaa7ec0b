"""A Pod's spec as upstream prints it in the refusal of an update: the JSON of its internal structs.

Those structs have no JSON tags, so that fields carry their Go names and absent ones their zero value.
Upstream: pkg/apis/core/types.go, apimachinery/pkg/util/diff/diff.go:Diff @v1.36
"""

from __future__ import annotations

from functools import cache
from typing import Any

from kubesim.api import quantity
from kubesim.api.objects import Object
from kubesim.api.validation.field import escape_html
from kubesim.api.validation.internal_form import difference

# One struct a line: its fields in upstream's order, each followed by what it holds: nothing for a string, # number,
# ! boolean, ? pointer or map printed as it is, ^ resource list, ^0 quantity, ~ label selector, =T struct, *T pointer to
# a struct, +T list of structs. Volume sources that kubesim does not mount are printed as they are.
_STRUCTS = """
PodSpec: Volumes+Volume InitContainers+Container Containers+Container EphemeralContainers+EphemeralContainer
  RestartPolicy TerminationGracePeriodSeconds? ActiveDeadlineSeconds? DNSPolicy NodeSelector? ServiceAccountName
  AutomountServiceAccountToken? NodeName SecurityContext*PodSecurityContext ImagePullSecrets+LocalObjectReference
  Hostname Subdomain SetHostnameAsFQDN? Affinity*Affinity SchedulerName Tolerations+Toleration HostAliases+HostAlias
  PriorityClassName Priority? PreemptionPolicy? DNSConfig*PodDNSConfig ReadinessGates+PodReadinessGate
  RuntimeClassName? Overhead^ EnableServiceLinks? TopologySpreadConstraints+TopologySpreadConstraint OS*PodOS
  SchedulingGates+PodSchedulingGate ResourceClaims+PodResourceClaim Resources*ResourceRequirements HostnameOverride?
  SchedulingGroup*PodSchedulingGroup
Volume: Name HostPath*HostPathVolumeSource EmptyDir*EmptyDirVolumeSource GCEPersistentDisk? AWSElasticBlockStore?
  GitRepo? Secret*SecretVolumeSource NFS*NFSVolumeSource ISCSI? Glusterfs?
  PersistentVolumeClaim*PersistentVolumeClaimVolumeSource RBD? Quobyte? FlexVolume? Cinder? CephFS? Flocker?
  DownwardAPI*DownwardAPIVolumeSource FC? AzureFile? ConfigMap*ConfigMapVolumeSource VsphereVolume? AzureDisk?
  PhotonPersistentDisk? Projected*ProjectedVolumeSource PortworxVolume? ScaleIO? StorageOS? CSI*CSIVolumeSource
  Ephemeral*EphemeralVolumeSource Image*ImageVolumeSource
Container: Name Image Command? Args? WorkingDir Ports+ContainerPort EnvFrom+EnvFromSource Env+EnvVar
  Resources=ResourceRequirements ResizePolicy+ContainerResizePolicy RestartPolicy?
  RestartPolicyRules+ContainerRestartRule VolumeMounts+VolumeMount VolumeDevices+VolumeDevice LivenessProbe*Probe
  ReadinessProbe*Probe StartupProbe*Probe Lifecycle*Lifecycle TerminationMessagePath TerminationMessagePolicy
  ImagePullPolicy SecurityContext*SecurityContext Stdin! StdinOnce! TTY!
EphemeralContainer: Name Image Command? Args? WorkingDir Ports+ContainerPort EnvFrom+EnvFromSource Env+EnvVar
  Resources=ResourceRequirements ResizePolicy+ContainerResizePolicy RestartPolicy?
  RestartPolicyRules+ContainerRestartRule VolumeMounts+VolumeMount VolumeDevices+VolumeDevice LivenessProbe*Probe
  ReadinessProbe*Probe StartupProbe*Probe Lifecycle*Lifecycle TerminationMessagePath TerminationMessagePolicy
  ImagePullPolicy SecurityContext*SecurityContext Stdin! StdinOnce! TTY! TargetContainerName
PodSecurityContext: HostNetwork! HostPID! HostIPC! ShareProcessNamespace? HostUsers? SELinuxOptions*SELinuxOptions
  WindowsOptions? RunAsUser? RunAsGroup? RunAsNonRoot? SupplementalGroups? SupplementalGroupsPolicy? FSGroup?
  FSGroupChangePolicy? Sysctls+Sysctl SeccompProfile*SeccompProfile AppArmorProfile*AppArmorProfile
  SELinuxChangePolicy?
LocalObjectReference: Name
Affinity: NodeAffinity*NodeAffinity PodAffinity*PodAffinity PodAntiAffinity*PodAntiAffinity
Toleration: Key Operator Value Effect TolerationSeconds?
HostAlias: IP Hostnames?
PodDNSConfig: Nameservers? Searches? Options+PodDNSConfigOption
PodReadinessGate: ConditionType
TopologySpreadConstraint: MaxSkew# TopologyKey WhenUnsatisfiable LabelSelector~ MinDomains? NodeAffinityPolicy?
  NodeTaintsPolicy? MatchLabelKeys?
PodOS: Name
PodSchedulingGate: Name
PodResourceClaim: Name ResourceClaimName? ResourceClaimTemplateName?
ResourceRequirements: Limits^ Requests^ Claims+ResourceClaim
PodSchedulingGroup: PodGroupName?
HostPathVolumeSource: Path Type?
EmptyDirVolumeSource: Medium SizeLimit?
SecretVolumeSource: SecretName Items+KeyToPath DefaultMode? Optional?
NFSVolumeSource: Server Path ReadOnly!
PersistentVolumeClaimVolumeSource: ClaimName ReadOnly!
DownwardAPIVolumeSource: Items+DownwardAPIVolumeFile DefaultMode?
ConfigMapVolumeSource: Name Items+KeyToPath DefaultMode? Optional?
ProjectedVolumeSource: Sources+VolumeProjection DefaultMode?
CSIVolumeSource: Driver ReadOnly? FSType? VolumeAttributes? NodePublishSecretRef*LocalObjectReference
EphemeralVolumeSource: VolumeClaimTemplate?
ImageVolumeSource: Reference PullPolicy
ContainerPort: Name HostPort# ContainerPort# Protocol HostIP
EnvFromSource: Prefix ConfigMapRef*ConfigMapEnvSource SecretRef*SecretEnvSource
EnvVar: Name Value ValueFrom*EnvVarSource
ContainerResizePolicy: ResourceName RestartPolicy
ContainerRestartRule: Action ExitCodes*ContainerRestartRuleOnExitCodes
VolumeMount: Name ReadOnly! RecursiveReadOnly? MountPath SubPath MountPropagation? SubPathExpr
VolumeDevice: Name DevicePath
Probe: Exec*ExecAction HTTPGet*HTTPGetAction TCPSocket*TCPSocketAction GRPC*GRPCAction InitialDelaySeconds#
  TimeoutSeconds# PeriodSeconds# SuccessThreshold# FailureThreshold# TerminationGracePeriodSeconds?
Lifecycle: PostStart*LifecycleHandler PreStop*LifecycleHandler StopSignal?
SecurityContext: Capabilities*Capabilities Privileged? SELinuxOptions*SELinuxOptions WindowsOptions? RunAsUser?
  RunAsGroup? RunAsNonRoot? ReadOnlyRootFilesystem? AllowPrivilegeEscalation? ProcMount? SeccompProfile*SeccompProfile
  AppArmorProfile*AppArmorProfile
SELinuxOptions: User Role Type Level
Sysctl: Name Value
SeccompProfile: Type LocalhostProfile?
AppArmorProfile: Type LocalhostProfile?
NodeAffinity: RequiredDuringSchedulingIgnoredDuringExecution*NodeSelector
  PreferredDuringSchedulingIgnoredDuringExecution+PreferredSchedulingTerm
PodAffinity: RequiredDuringSchedulingIgnoredDuringExecution+PodAffinityTerm
  PreferredDuringSchedulingIgnoredDuringExecution+WeightedPodAffinityTerm
PodAntiAffinity: RequiredDuringSchedulingIgnoredDuringExecution+PodAffinityTerm
  PreferredDuringSchedulingIgnoredDuringExecution+WeightedPodAffinityTerm
PodDNSConfigOption: Name Value?
ResourceClaim: Name Request
KeyToPath: Key Path Mode?
DownwardAPIVolumeFile: Path FieldRef*ObjectFieldSelector ResourceFieldRef*ResourceFieldSelector Mode?
VolumeProjection: Secret*SecretProjection DownwardAPI*DownwardAPIProjection ConfigMap*ConfigMapProjection
  ServiceAccountToken*ServiceAccountTokenProjection ClusterTrustBundle*ClusterTrustBundleProjection
  PodCertificate*PodCertificateProjection
ConfigMapEnvSource: Name Optional?
SecretEnvSource: Name Optional?
EnvVarSource: FieldRef*ObjectFieldSelector ResourceFieldRef*ResourceFieldSelector ConfigMapKeyRef*ConfigMapKeySelector
  SecretKeyRef*SecretKeySelector FileKeyRef*FileKeySelector
ContainerRestartRuleOnExitCodes: Operator Values?
ExecAction: Command?
HTTPGetAction: Path Port# Host Scheme HTTPHeaders+HTTPHeader
TCPSocketAction: Port# Host
GRPCAction: Port# Service?
LifecycleHandler: Exec*ExecAction HTTPGet*HTTPGetAction TCPSocket*TCPSocketAction Sleep*SleepAction
Capabilities: Add? Drop?
NodeSelector: NodeSelectorTerms+NodeSelectorTerm
PreferredSchedulingTerm: Weight# Preference=NodeSelectorTerm
PodAffinityTerm: LabelSelector~ Namespaces? TopologyKey NamespaceSelector~ MatchLabelKeys? MismatchLabelKeys?
WeightedPodAffinityTerm: Weight# PodAffinityTerm=PodAffinityTerm
ObjectFieldSelector: APIVersion FieldPath
ResourceFieldSelector: ContainerName Resource Divisor^0
SecretProjection: Name Items+KeyToPath Optional?
DownwardAPIProjection: Items+DownwardAPIVolumeFile
ConfigMapProjection: Name Items+KeyToPath Optional?
ServiceAccountTokenProjection: Audience ExpirationSeconds# Path
ClusterTrustBundleProjection: Name? SignerName? LabelSelector~ Optional? Path
PodCertificateProjection: SignerName KeyType MaxExpirationSeconds? CredentialBundlePath KeyPath CertificateChainPath
  UserAnnotations?
ConfigMapKeySelector: Name Key Optional?
SecretKeySelector: Name Key Optional?
FileKeySelector: VolumeName Path Key Optional?
HTTPHeader: Name Value
SleepAction: Seconds#
NodeSelectorTerm: MatchExpressions+NodeSelectorRequirement MatchFields+NodeSelectorRequirement
NodeSelectorRequirement: Key Operator Values?
"""
_MARKS = "#!?^~=*+"
_ZEROS: dict[str, Any] = {"": "", "#": 0, "!": False, "?": None, "^": None, "^0": "0", "~": None}
# Upstream keeps these with the security context; on the wire they stand beside it.
_MOVED = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")


@cache
def _structs() -> dict[str, list[tuple[str, str, str]]]:
    """Fields by struct: (Go name, mark, type)."""
    table: dict[str, list[tuple[str, str, str]]] = {}
    fields: list[tuple[str, str, str]] = []
    for word in _STRUCTS.split():
        if word.endswith(":"):
            fields = table.setdefault(word[:-1], [])
            continue
        end = next((place for place, letter in enumerate(word) if letter in _MARKS), len(word))
        fields.append((word[:end], word[end : end + 1], word[end + 1 :]))
    return table


def spec_diff(old: Object, new: Object) -> str:
    """The unified difference of two Pod specs as upstream prints it."""
    return escape_html(difference(_spec(old), _spec(new)))


def _spec(spec: Object) -> Object:
    moved = {name: spec[name] for name in _MOVED if name in spec}
    context = spec.get("securityContext")
    if context is not None or moved:
        spec = {**spec, "securityContext": {**(context or {}), **moved}}
    return internal_form("PodSpec", spec)


def internal_form(struct: str, value: Object) -> Object:
    """`value` in the form of upstream's internal struct of that name."""
    by_name = {name.lower(): field for name, field in value.items()}
    return {name: _field(mark, kind, by_name.get(name.lower())) for name, mark, kind in _structs()[struct]}


def _field(mark: str, kind: str, value: Any) -> Any:
    if mark == "=":
        return internal_form(kind, value or {})
    if value is None:
        return _ZEROS.get(mark + kind)
    if mark == "*":
        return internal_form(kind, value)
    if mark == "+":
        return [internal_form(kind, item) for item in value]
    if mark == "^":
        return quantity.canonical(value) if kind else {name: quantity.canonical(value[name]) for name in sorted(value)}
    if mark == "~":
        return _selector(value)
    return {name: value[name] for name in sorted(value)} if isinstance(value, dict) else value


def _selector(selector: Object) -> Object:
    labels = selector.get("matchLabels")
    form: Object = {"matchLabels": {name: labels[name] for name in sorted(labels)}} if labels else {}
    if selector.get("matchExpressions"):
        form["matchExpressions"] = selector["matchExpressions"]
    return form
