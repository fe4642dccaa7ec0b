"""Which workloads can be restarted, paused and resumed, as `kubectl rollout` has it.

Upstream: kubectl/pkg/polymorphichelpers/object{restarter,pauser,resumer}.go @v1.36
"""

from __future__ import annotations

from typing import Final

from kubesim.api.objects import Object
from kubesim.errors import UserError

_RESTARTS: Final = ("Deployment", "DaemonSet", "StatefulSet")
_PAUSES: Final = ("Deployment",)


def check_restart(obj: Object) -> None:
    """Whether its Pods can be made anew.

    Raises:
        UserError: it is none of the kinds that can be restarted, or a paused Deployment.
    """
    _check_kind(obj, "restarted", _RESTARTS)
    if obj["kind"] in _PAUSES and obj["spec"].get("paused"):
        raise UserError(f"{_name(obj)} is paused; resume it before it is restarted")


def check_pause(obj: Object, *, is_paused: bool) -> None:
    """Whether its rollout can be paused, or with `is_paused` resumed.

    Raises:
        UserError: it is no Deployment, or it is so already.
    """
    _check_kind(obj, "resumed" if is_paused else "paused", _PAUSES)
    if bool(obj["spec"].get("paused")) != is_paused:
        raise UserError(f"{_name(obj)} is {'not paused' if is_paused else 'already paused'}")


def _check_kind(obj: Object, verb: str, kinds: tuple[str, ...]) -> None:
    if obj["kind"] not in kinds:
        article = "a" if len(kinds) == 1 else "one of"
        raise UserError(f"{_name(obj)} cannot be {verb}; name {article} {', '.join(kinds)}")


def _name(obj: Object) -> str:
    return f"{obj['kind'].lower()}/{obj['metadata']['name']}"
