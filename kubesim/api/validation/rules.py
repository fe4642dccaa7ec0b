"""The row that a kind's validation module exports to the frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kubesim.api.objects import Object
from kubesim.errors import Cause


def _accept(_obj: Object) -> list[Cause]:
    return []


def _accept_change(_new: Object, _old: Object) -> list[Cause]:
    return []


class Rules(NamedTuple):
    """What is checked of one kind beyond its own metadata, which the frame has checked already.

    `create(obj)`, `update(new, old)` and `status_update(new, old)` return the broken rules in upstream's order.
    `update` must include whatever of `create` upstream repeats on update. All of them see defaulted objects.
    """

    create: Callable[[Object], list[Cause]] = _accept
    update: Callable[[Object, Object], list[Cause]] = _accept_change
    status_update: Callable[[Object, Object], list[Cause]] = _accept_change
