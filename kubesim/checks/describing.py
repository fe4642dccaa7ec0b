"""The invariants in words: the page docs/invariants.md and the list that `kubesim invariants` prints."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Final

from kubesim.checks.registry import INVARIANTS

_HEAD: Final = """\
# Invariants

What must hold in a cluster whatever is done to it, as `kubesim.checks` watches it during `kubesim test`. This page is
made from the table `kubesim.checks.registry.INVARIANTS`; `kubesim invariants` prints it as a list.

A promise is judged by what a component could know: for five seconds after a change others may act on what was before,
and while faults of the control plane keep a component from seeing the API, promises that rest on its seeing are not
asked. Whether a Pod runs is judged by the processes on nodes, never by what the API says of it.
"""
_TAIL: Final = """\
## At rest

When all disturbances are over, `kubesim.checks.convergence` asks for more: within ten minutes every workload, volume,
endpoint and budget is as its object says, counted anew from Pods and processes; nothing that was deleted is left, and
nothing outlives its owner. Then nothing is written but heartbeats, work queues are empty, and requests are few.

## One's own

A function that looks at the cluster after each write and says what is wrong is an invariant, too:

```python
from kubesim.checks import Checks, invariant


@invariant("fewPods", "there are at most ten Pods")
def few_pods(cluster):
    count = len(cluster.list("pods"))
    return f"there are {count}" if count > 10 else None
```

`Checks(cluster, [few_pods])` watches from then on and keeps what is broken in `violations`;
`examples/04_own_invariant.py` shows a whole one. One that must cost next to nothing is a class with an `attach`, as
those of the table are: see `kubesim.checks.invariant.Invariant`.
"""


def page() -> str:
    """docs/invariants.md as it must be."""
    rows = [f"| `{name}` | {make().promise} | {_remark(make)} |" for name, make in INVARIANTS.items()]
    table = ["| invariant | promise | remarks |", "|---|---|---|", *rows]
    return "\n".join([_HEAD, "\n".join(table) + "\n", _TAIL])


def list_lines() -> Iterator[str]:
    """The table for a terminal."""
    width = max(map(len, INVARIANTS))
    for name, make in INVARIANTS.items():
        yield f"{name:<{width}}  {make().promise}"


def _remark(make: object) -> str:
    return " ".join((inspect.getdoc(make) or "").split())
