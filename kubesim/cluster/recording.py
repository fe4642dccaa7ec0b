"""The trace of a run: every write to the API as one record, beside what nodes, faults and users add.

A record's detail says what the write changed in the few fields that matter to a reader; the fields of all others are
in the stored object of that revision. The digest of the trace is the identity of a run.
"""

from __future__ import annotations

from typing import Any, final

from kubesim.apiserver.server import Write
from kubesim.sim.loop import Loop
from kubesim.sim.trace import Record, Trace


@final
class Recording:
    """Writes records of API writes, and takes those of others."""

    def __init__(self, loop: Loop, trace: Trace) -> None:
        self._loop = loop
        self._trace = trace

    def on_write(self, write: Write) -> None:
        """For the API server: a write has happened."""
        metadata = write.obj["metadata"]
        namespace = metadata.get("namespace", "")
        name = f"{namespace}/{metadata['name']}" if namespace else metadata["name"]
        record = Record(
            self._loop.now_ns,
            actor_of(write.identity.user),
            verb_of(write),
            f"{write.kind.singular}/{name}",
            write.subresource,
            {"revision": int(metadata["resourceVersion"]), "object": write.obj},
        )
        self._trace.add(record)

    def note(self, actor: str, verb: str, subject: str, detail: str = "", data: dict[str, Any] | None = None) -> None:
        """Something that is no API write: a container's exit, a fault, a finding about users."""
        self._trace.add(Record(self._loop.now_ns, actor, verb, subject, detail, data))


def verb_of(write: Write) -> str:
    """What happened to the object: created, updated, patched, deleted or marked.

    A deletion that takes its time is two writes: the object is `marked` now and `deleted` when it is gone.
    """
    return "marked" if write.verb == "deleted" and write.previous is not write.obj else write.verb


def actor_of(user: str) -> str:
    """The short name of a component from its user name: `deployment-controller`, `kubelet/node-1`, `user`."""
    if user.startswith("system:node:"):
        return "kubelet/" + user.removeprefix("system:node:")
    if user == "kubernetes-admin":
        return "user"
    return user.rpartition(":")[2]
