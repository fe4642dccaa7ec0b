"""Events live for an hour after their last write, as etcd's lease makes them.

Upstream: kube-apiserver --event-ttl=1h0m0s, pkg/registry/core/event/storage/storage.go @v1.36
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import final

from kubesim.api.objects import Key, Object
from kubesim.sim.loop import HOUR, MINUTE, Loop
from kubesim.store.log import Store

_TTL_NS = HOUR
# etcd ends leases in batches; one look a minute is close enough and costs nothing.
_SWEEP_NS = MINUTE


@final
class EventExpiry:
    """Deletes Events an hour after they were last written.

    `on_gone` is told the revision, what watches see, and the last state.
    """

    def __init__(self, loop: Loop, store: Store, on_gone: Callable[[int, Object, Object], None]) -> None:
        self._loop = loop
        self._store = store
        self._on_gone = on_gone
        # When which Event was written as which revision.
        self._written: deque[tuple[int, Key, str]] = deque()
        self._sweeping = False

    def note(self, key: Key, event: Object) -> None:
        """The Event was written now."""
        self._written.append((self._loop.now_ns, key, event["metadata"]["resourceVersion"]))
        if not self._sweeping:
            self._sweeping = True
            self._loop.post(_TTL_NS, self._sweep, None)

    def _sweep(self, _: None) -> None:
        due_ns = self._loop.now_ns - _TTL_NS
        written = self._written
        while written and written[0][0] <= due_ns:
            key, revision = written.popleft()[1:]
            event = self._store.get("events", key)
            # One that was written again meanwhile has a later place in the line.
            if event is not None and event["metadata"]["resourceVersion"] == revision:
                gone = self._store.delete("events", key, event)
                self._on_gone(self._store.revision, gone, event)
        self._sweeping = bool(written)
        if written:
            self._loop.post(max(_SWEEP_NS, written[0][0] - due_ns), self._sweep, None)
