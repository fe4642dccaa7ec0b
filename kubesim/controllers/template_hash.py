"""The short hash that tells Pod templates apart: the `pod-template-hash` of a Deployment's ReplicaSets.

Upstream hashes Go's own dump of the struct, which nothing else can reproduce; here it is the canonical JSON. The hash
function, its rendering and what goes into it are upstream's, so names look the same and collide as rarely.
Upstream: pkg/controller/controller_utils.go:ComputeHash, apimachinery/pkg/util/rand/rand.go:SafeEncodeString @v1.36
"""

from __future__ import annotations

import msgspec

from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object
from kubesim.sim.chooser import ALPHANUMERICS

_OFFSET, _PRIME, _MASK = 2_166_136_261, 16_777_619, 0xFFFFFFFF
_encode = msgspec.json.Encoder(order="deterministic").encode


def fnv32a(data: bytes, state: int = _OFFSET) -> int:
    """The 32-bit FNV-1a hash, continued from `state`."""
    for byte in data:
        state = ((state ^ byte) * _PRIME) & _MASK
    return state


def _hash_object(value: Object) -> int:
    return fnv32a(_encode(value))


_hash_of = IdentityMemo(_hash_object, 256)


def safe_encode(text: str) -> str:
    """The text in the letters of generated names."""
    return "".join(ALPHANUMERICS[ord(letter) % len(ALPHANUMERICS)] for letter in text)


def compute_hash(value: Object, collision_count: int | None) -> str:
    """The hash of a template; a collision count makes it another one."""
    state = _hash_of(value)
    if collision_count is not None:
        state = fnv32a(collision_count.to_bytes(4, "little") + bytes(4), state)
    return safe_encode(str(state))
