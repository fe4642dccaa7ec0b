"""What kubelets read besides their own Pods, once for all nodes of a cluster.

Upstream's kubelet watches all Services, and each ConfigMap and Secret that its Pods refer to, on its own; here all
kubelets share one watch of each kind, so that they differ in nothing but their Pods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from kubesim.api.kinds import CONFIG_MAP, PERSISTENT_VOLUME_CLAIM, SECRET, SERVICE
from kubesim.node.env import service_variables
from kubesim.node.volumes import TokenVolumes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubesim.api.objects import Object
    from kubesim.client.informer import InformerFactory
    from kubesim.programs.program import Volume


@final
class ClusterCaches:
    """Services, ConfigMaps, Secrets and claims as kubelets see them, and the disks behind PersistentVolumes by name."""

    def __init__(self, informers: InformerFactory) -> None:
        self._services = informers.informer(SERVICE)
        self._config_maps = informers.lister(CONFIG_MAP)
        self._secrets = informers.lister(SECRET)
        self._claims = informers.lister(PERSISTENT_VOLUME_CLAIM)
        self.tokens = TokenVolumes()
        self.disks: dict[str, Volume] = {}
        self._variables: dict[tuple[str, bool], Mapping[str, str]] = {}
        self._services.add_handler(self._forget, lambda _old, new: self._forget(new), self._forget)

    def _forget(self, _service: Object) -> None:
        self._variables.clear()

    def config_map(self, namespace: str, name: str) -> Object | None:
        return self._config_maps.get(namespace, name)

    def secret(self, namespace: str, name: str) -> Object | None:
        return self._secrets.get(namespace, name)

    def claim(self, namespace: str, name: str) -> Object | None:
        return self._claims.get(namespace, name)

    def service_variables(self, namespace: str, *, has_links: bool) -> Mapping[str, str]:
        """The environment variables for Services; one mapping for all containers of a namespace, not to be changed."""
        key = (namespace, has_links)
        variables = self._variables.get(key)
        if variables is None:
            variables = service_variables(self._services.lister.all(), namespace, has_links=has_links)
            self._variables[key] = variables
        return variables
