"""What a simulated cluster is made of, before it runs. All values, no behaviour."""

from __future__ import annotations

from typing import Any

import msgspec

from kubesim.api.quantity import QuantityError, compare
from kubesim.client.inprocess import Latency
from kubesim.errors import UserError

# 10.128.0.0/9 in ranges of 256 Pod addresses.
_NODES_MAX = 32_768


class ControlPlaneLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The client-side limits of the components: requests a second and burst, as their flags default.

    Upstream: kube-controller-manager --kube-api-qps=20 --kube-api-burst=30, kube-scheduler --kube-api-qps=50
    --kube-api-burst=100, KubeletConfiguration kubeAPIQPS 50, kubeAPIBurst 100 @v1.36
    """

    controller_qps: int = 20
    controller_burst: int = 30
    scheduler_qps: int = 50
    scheduler_burst: int = 100
    kubelet_qps: int = 50
    kubelet_burst: int = 100


class ClusterOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of a cluster. `limits=None` lifts every client-side limit, as load tests of real clusters do.

    `records` keeps a trace of every write and of what happens on nodes; a benchmark does without.
    `node_labels` are extra labels by node name, `programs` describe images as `kubesim.programs.declared` does,
    `missing_images` are those that no registry has, `present_images` those that every node has already. `compacts` lets
    the store forget old changes every five virtual minutes; whoever serves it to clients with clocks of their own does
    that by the wall clock instead.
    """

    nodes: int = 3
    node_cpu: str = "4"
    node_memory: str = "8Gi"
    node_pods: int = 110
    seed: int = 0
    latency: Latency = Latency()
    limits: ControlPlaneLimits | None = ControlPlaneLimits()
    records: bool = True
    node_labels: dict[str, dict[str, str]] = {}
    programs: dict[str, dict[str, Any]] = {}
    missing_images: tuple[str, ...] = ()
    present_images: tuple[str, ...] = ()
    compacts: bool = True

    def with_changes(self, changes: dict[str, Any]) -> ClusterOptions:
        """These options with some fields changed.

        Raises:
            UserError: there is no such field, or its value is out of range.
        """
        unknown = sorted(set(changes) - set(self.__struct_fields__))
        if unknown:
            known = ", ".join(self.__struct_fields__)
            raise UserError(f"a cluster has no option {unknown[0]}; there are {known}")
        options = msgspec.structs.replace(self, **changes)
        if not 0 <= options.nodes <= _NODES_MAX:
            raise UserError(f"a cluster has from 0 to {_NODES_MAX} nodes, not {options.nodes}")
        for name in ("node_cpu", "node_memory"):
            quantity = getattr(options, name)
            try:
                is_negative = compare(quantity, 0) < 0
            except QuantityError as error:
                raise UserError(f"{name} {quantity}: {error}") from None
            if is_negative:
                raise UserError(f"{name} {quantity}: a node cannot have less than nothing")
        return options
