"""What a simulated cluster is made of, before it runs. All values, no behaviour."""

from __future__ import annotations

import msgspec

from kubesim.client.inprocess import Latency


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
    """The shape of a cluster. `limits=None` lifts every client-side limit, as load tests of real clusters do."""

    nodes: int = 3
    node_cpu: str = "4"
    node_memory: str = "8Gi"
    node_pods: int = 110
    seed: int = 0
    latency: Latency = Latency()
    limits: ControlPlaneLimits | None = ControlPlaneLimits()
