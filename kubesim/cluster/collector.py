"""The garbage collector's part in speed: a run makes millions of objects that stay, and next to no cycles.

Python's collector would walk all of them again and again for nothing; reference counting alone frees what a run drops.
A test holds requests and idling to making no cycles at all.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def calm_collector() -> Iterator[None]:
    """Within the block the cyclic collector is off; what existed before is not looked at afterwards either."""
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
