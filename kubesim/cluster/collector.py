"""The garbage collector's part in speed: a run makes millions of objects that stay, and next to no cycles.

Python's collector walks all of them again and again for nothing; it is told to look rarely while a cluster runs.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def calm_collector() -> Iterator[None]:
    """Within the block, what exists is left alone and new objects are looked at once in a hundred thousand."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
