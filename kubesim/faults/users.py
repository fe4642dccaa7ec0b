"""Faults that come from users: more of them than there should be."""

from __future__ import annotations

from typing import Final

from kubesim.cluster import Cluster
from kubesim.faults.arguments import Spike
from kubesim.faults.kinds import FaultKind, Injection
from kubesim.faults.targets import split_reference


def _load_spike(cluster: Cluster, spike: Spike, namespace: str) -> Injection:
    own, space = split_reference(spike.of, namespace)
    service = own.partition("/")[2]
    load = cluster.load(service, space, rate_per_second=spike.rate_per_second, write_percent=spike.write_percent)
    subject = f"service/{service}"
    cluster.faults.note("loadSpike", subject, f"{spike.rate_per_second:g} more requests a second")

    def undo() -> None:
        load.stop()
        cluster.faults.note("heal", subject, "as many users as before")

    return Injection(subject, undo)


USER_FAULTS: Final = (FaultKind("loadSpike", Spike, "users", "a Service gets many more requests", _load_spike, "heal"),)
