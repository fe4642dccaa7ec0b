"""Nodes with their kubelets, the network between them, and the disks that outlive them."""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import ENDPOINT_SLICE, SERVICE
from kubesim.client.informer import InformerFactory
from kubesim.cluster.control_plane import ControlPlane
from kubesim.cluster.options import ClusterOptions
from kubesim.cluster.recording import Recording
from kubesim.network.dns import Names
from kubesim.network.fabric import Fabric
from kubesim.network.proxy import ProxyViews
from kubesim.sim.chooser import Chooser


@final
class DataPlane:
    """Everything that runs or connects Pods."""

    def __init__(
        self, plane: ControlPlane, chooser: Chooser, options: ClusterOptions, recording: Recording | None
    ) -> None:
        self._informers = InformerFactory(plane.loop, plane.client("system:kube-proxy"))
        services, slices = self._informers.informer(SERVICE), self._informers.informer(ENDPOINT_SLICE)
        proxy = ProxyViews(plane.loop, chooser)
        proxy.follow(services, slices)
        names = Names(services.lister, slices.lister, chooser.stream("dns"))
        self.fabric = Fabric(plane.loop, chooser, names, proxy)
        self._informers.start()

    def stop(self) -> None:
        self._informers.stop()
