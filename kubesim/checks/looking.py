"""How checks look at objects: their own reading of Pods, kept apart from what the checked components use."""

from __future__ import annotations

from kubesim.api.objects import Object

FINISHED = ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    """Whether the Ready condition is True."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Ready":
            return bool(condition["status"] == "True")
    return False


def is_active(pod: Object) -> bool:
    """Neither finished nor asked to go."""
    return "deletionTimestamp" not in pod["metadata"] and (pod.get("status") or {}).get("phase") not in FINISHED


def controller_uid(obj: Object) -> str:
    """The UID of what controls the object, empty where nothing does."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return str(reference["uid"])
    return ""


def amount(value: int | str, of: int, *, round_up: bool) -> int:
    """A number of Pods, or a percentage of so many."""
    if isinstance(value, int):
        return value
    percent = int(value.removesuffix("%")) * of
    return -(-percent // 100) if round_up else percent // 100
