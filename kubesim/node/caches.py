"""What kubelets read besides their own Pods, once for all nodes of a cluster.

Upstream's kubelet watches all Services, and each ConfigMap and Secret that its Pods refer to, on its own; here all
kubelets share one watch of each kind, so that they differ in nothing but their Pods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from kubesim.api.kinds import (
    CONFIG_MAP,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    SERVICE,
    VOLUME_ATTACHMENT,
)
from kubesim.node.env import service_variables
from kubesim.node.volumes import TokenVolumes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kubesim.api.objects import Object
    from kubesim.client.informer import InformerFactory
    from kubesim.programs.program import Volume

_BY_VOLUME_AND_NODE: Final = "volume and node"


def _volume_and_node(attachment: Object) -> tuple[str, ...]:
    spec = attachment["spec"]
    return (f"{spec['source'].get('persistentVolumeName', '')} {spec['nodeName']}",)


@final
class ClusterCaches:
    """Services, ConfigMaps, Secrets and volumes as kubelets see them, and what PersistentVolumes hold by name."""

    def __init__(self, informers: InformerFactory) -> None:
        self._services = informers.informer(SERVICE)
        self._config_maps = informers.lister(CONFIG_MAP)
        self._secrets = informers.lister(SECRET)
        self._claims = informers.lister(PERSISTENT_VOLUME_CLAIM)
        self._volumes = informers.lister(PERSISTENT_VOLUME)
        self._attachments = informers.lister(VOLUME_ATTACHMENT)
        self._attachments.add_index(_BY_VOLUME_AND_NODE, _volume_and_node)
        self.tokens = TokenVolumes()
        # By node name: who is told that others have changed the Node's conditions.
        self.on_node_doubted: dict[str, Callable[[], None]] = {}
        informers.informer(NODE).add_handler(on_update=self._look_at_node)
        self.disks: dict[str, Volume] = {}
        self._variables: dict[tuple[str, bool], Mapping[str, str]] = {}
        self._services.add_handler(self._forget, lambda _old, new: self._forget(new), self._forget)

    def _look_at_node(self, _old: Object, node: Object) -> None:
        tell = self.on_node_doubted.get(node["metadata"]["name"])
        if tell is not None and any(each["status"] == "Unknown" for each in node["status"].get("conditions") or ()):
            tell()

    def _forget(self, _service: Object) -> None:
        self._variables.clear()

    def config_map(self, namespace: str, name: str) -> Object | None:
        """The ConfigMap, or None."""
        return self._config_maps.get(namespace, name)

    def secret(self, namespace: str, name: str) -> Object | None:
        """The Secret, or None."""
        return self._secrets.get(namespace, name)

    def claim(self, namespace: str, name: str) -> Object | None:
        """The PersistentVolumeClaim, or None."""
        return self._claims.get(namespace, name)

    def is_attached(self, volume_name: str, node_name: str) -> bool:
        """Whether the node has the volume: always, unless that is a disk in the network.

        Upstream: pkg/volume/csi/csi_attacher.go:waitForVolumeAttachment @v1.36
        """
        volume = self._volumes.get("", volume_name)
        if volume is None or "csi" not in volume["spec"]:
            return volume is not None
        attachments = self._attachments.by_index(_BY_VOLUME_AND_NODE, f"{volume_name} {node_name}")
        return any(
            "deletionTimestamp" not in attachment["metadata"] and (attachment.get("status") or {}).get("attached")
            for attachment in attachments
        )

    def service_variables(self, namespace: str, *, has_links: bool) -> Mapping[str, str]:
        """The environment variables for Services; one mapping for all containers of a namespace, not to be changed."""
        key = (namespace, has_links)
        variables = self._variables.get(key)
        if variables is None:
            variables = service_variables(self._services.lister.all(), namespace, has_links=has_links)
            self._variables[key] = variables
        return variables
