"""The volume binder's own copies of claims and volumes, which its writes go into at once.

The informers lag behind a write by the watch's delay; deciding on them, the binder would give one volume to two claims.
Upstream: pkg/controller/volume/persistentvolume/{pv_controller_base.go:storeObjectUpdate,index.go} @v1.36
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, final

from kubesim.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from kubesim.api.objects import Object, key_of
from kubesim.api.requests import update
from kubesim.api.scheme import Kind
from kubesim.api.volume_binding import class_name_of
from kubesim.client.informer import Lister
from kubesim.controllers import persistent_volume_plan as plan
from kubesim.controllers.base import Step

_CANDIDATES: Final = "candidates"
Written = Generator[Step, Any, Object]


def _candidate_values(volume: Object) -> tuple[str, ...]:
    reference = volume["spec"].get("claimRef")
    if reference is None:
        return (f"class {class_name_of(volume)}",)
    return (f"claim {reference.get('namespace')}/{reference.get('name')}",)


@final
class VolumeCopies:
    """The newest known state of every claim and volume, and the writes that change it."""

    def __init__(self) -> None:
        self.claims = Lister()
        self.volumes = Lister()
        self.volumes.add_index(_CANDIDATES, _candidate_values)

    def candidates(self, claim: Object, *, is_delayed: bool) -> list[Object]:
        """The volumes reserved for the claim's name, then, unless the scheduler chooses, the free ones of its class."""
        metadata = claim["metadata"]
        reserved = self.volumes.by_index(_CANDIDATES, f"claim {metadata['namespace']}/{metadata['name']}")
        if is_delayed:
            return reserved
        return reserved + self.volumes.by_index(_CANDIDATES, f"class {class_name_of(claim)}")

    @staticmethod
    def store(copies: Lister, obj: Object) -> bool:
        """Keep the object unless a newer one is there; returns whether it is the newest."""
        key = key_of(obj)
        known = copies.objects.get(key)
        if known is not None and int(known["metadata"]["resourceVersion"]) > int(obj["metadata"]["resourceVersion"]):
            return False
        copies.put(key, obj)
        return True

    def write(self, kind: Kind, obj: Object, old: Object, subresource: str = "") -> Written:
        """Write the object unless it is the very old one; returns what is stored now.

        Raises:
            ApiError: the write failed.
        """
        if obj is old:
            return old
        written: Object = yield update(kind, obj, subresource)
        copies = self.claims if kind is PERSISTENT_VOLUME_CLAIM else self.volumes
        # What has gone meanwhile must not come back by a late reply.
        if key_of(written) in copies.objects:
            self.store(copies, written)
        return written

    def write_claim_phase(self, claim: Object, phase: str, volume: Object | None = None) -> Written:
        """Write the claim's status where it differs."""
        changed = plan.with_claim_phase(claim, phase, volume)
        return (yield from self.write(PERSISTENT_VOLUME_CLAIM, changed, claim, "status"))

    def write_volume_phase(self, volume: Object, phase: str, message: str = "") -> Written:
        """Write the volume's phase where it differs."""
        changed = plan.with_volume_phase(volume, phase, message)
        return (yield from self.write(PERSISTENT_VOLUME, changed, volume, "status"))
