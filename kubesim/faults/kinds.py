"""What a fault is: a row of the catalogue, and what came of doing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kubesim.cluster import Cluster
from kubesim.faults.arguments import Argument

Undo = Callable[[], None]


class Injection(NamedTuple):
    """A fault that was done: to whom, as the trace names it, and what ends it; None where there is nothing to end."""

    subject: str
    undo: Undo | None = None


# `inject(cluster, argument, namespace)`: the namespace is where references without one are looked for. Raises UserError
# where the target is not there or not in the state for it, ApiError where the API server refuses.
Inject = Callable[[Cluster, Any, str], Injection]


class FaultKind(NamedTuple):
    """One fault as files, documents and the command line name it.

    `area` is workload, node, network, storage, database, controlPlane or users. `healed_by` is the fault that ends it
    (`restorePower`), `heal` where it is ended by that action, or an empty text for what happens in an instant and is
    mended by controllers, or is a change of mind of a user. `heals` is the fault that this one ends. `on_real` says
    that a real cluster can be disturbed in the same way.
    """

    name: str
    argument: type[Argument]
    area: str
    summary: str
    inject: Inject
    healed_by: str = ""
    heals: str = ""
    on_real: bool = False
