"""Faults that come from users: more of them than there should be, or more impatient ones."""

from __future__ import annotations

from typing import Final

from kubesim.cluster import Cluster
from kubesim.errors import UserError
from kubesim.faults.arguments import Impatience, Spike
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


def _retry_storm(cluster: Cluster, impatience: Impatience, namespace: str) -> Injection:
    service = cluster.get(*split_reference(impatience.of, namespace))["metadata"]
    host = f"{service['name']}.{service['namespace']}.svc."
    loads = [load for load in cluster.loads if load.plan.host.startswith(host)]
    if not loads:
        raise UserError(f"{impatience.of} has no users who could be impatient; give it a load")
    subject = f"service/{service['name']}"
    for load in loads:
        load.retries += impatience.retries
    detail = f"its users repeat at once what is not served, {impatience.retries} times"
    cluster.faults.note("retryStorm", subject, detail)

    def undo() -> None:
        for load in loads:
            load.retries -= impatience.retries
        cluster.faults.note("heal", subject, "its users are patient again")

    return Injection(subject, undo)


USER_FAULTS: Final = (
    FaultKind("loadSpike", Spike, "users", "a Service gets many more requests", _load_spike, "heal"),
    FaultKind("retryStorm", Impatience, "users", "users repeat at once what is not served", _retry_storm, "heal"),
)
