"""How many replicas each ReplicaSet of a Deployment may have: surge, unavailability and proportions, in whole numbers.

Pure functions. Upstream: pkg/controller/deployment/util/deployment_util.go, pkg/controller/deployment/rolling.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubesim.api.int_or_string import resolve
from kubesim.api.objects import Object, annotations_of

DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"


def replicas_of(obj: Object) -> int:
    """`spec.replicas`."""
    return int(obj["spec"].get("replicas", 1))


def total_replicas(replica_sets: Iterable[Object]) -> int:
    """The sum of `spec.replicas`."""
    return sum(map(replicas_of, replica_sets))


def status_sum(replica_sets: Iterable[Object], field: str) -> int:
    """The sum of a count in the statuses."""
    return sum((each.get("status") or {}).get(field, 0) for each in replica_sets)


def active(replica_sets: Iterable[Object]) -> list[Object]:
    """Those that want replicas."""
    return [each for each in replica_sets if replicas_of(each) > 0]


def is_rolling(deployment: Object) -> bool:
    """Whether old and new Pods may run side by side."""
    return bool(deployment["spec"]["strategy"]["type"] == "RollingUpdate")


def _fenceposts(deployment: Object) -> tuple[int, int]:
    """maxSurge and maxUnavailable in replicas; both zero becomes one unavailable, or nothing could ever move."""
    rolling = deployment["spec"]["strategy"]["rollingUpdate"]
    desired = replicas_of(deployment)
    surge = resolve(rolling.get("maxSurge", 0), desired, round_up=True)
    unavailable = resolve(rolling.get("maxUnavailable", 0), desired, round_up=False)
    return (0, 1) if surge == 0 and unavailable == 0 else (surge, unavailable)


def max_surge(deployment: Object) -> int:
    """How many Pods beyond `spec.replicas` a rollout may have."""
    return _fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    """How many of `spec.replicas` a rollout may do without."""
    desired = replicas_of(deployment)
    if not is_rolling(deployment) or desired == 0:
        return 0
    return min(_fenceposts(deployment)[1], desired)


def new_replica_count(deployment: Object, replica_sets: Sequence[Object], new: Object) -> int:
    """The size that the new ReplicaSet may have now. Upstream: NewRSNewReplicas"""
    desired = replicas_of(deployment)
    if not is_rolling(deployment):
        return desired
    current = total_replicas(replica_sets)
    allowed = desired + max_surge(deployment)
    if current >= allowed:
        return replicas_of(new)
    return replicas_of(new) + min(allowed - current, desired - replicas_of(new))


def is_saturated(deployment: Object, new: Object | None) -> bool:
    """Whether the new ReplicaSet alone makes up the whole Deployment."""
    if new is None:
        return False
    desired = replicas_of(deployment)
    at_last = annotations_of(new).get(DESIRED_REPLICAS, "")
    if not at_last.isdigit():
        return False
    available = (new.get("status") or {}).get("availableReplicas", 0)
    return bool(replicas_of(new) == desired == int(at_last) == available)


def plan_proportions(deployment: Object, replica_sets: Sequence[Object]) -> list[tuple[Object, int]]:
    """The new size of each active ReplicaSet when a Deployment is scaled in the middle of a rollout.

    Upstream: sync.go:scale. Worked example: 10 replicas in parts of 5, 3 and 2, scaled to 15: 5 more replicas go as
    round(5 * 15 / 10) - 5 = 3 (2.5 rounded away from zero), then 2, then what is left, 0.
    """
    desired = replicas_of(deployment)
    allowed = desired + max_surge(deployment) if desired > 0 else 0
    to_add = allowed - total_replicas(replica_sets)
    # Largest first; of equal ones the newest grows first and the oldest shrinks first, names breaking ties likewise.
    ordered = list(replica_sets)
    if to_add:
        ordered.sort(key=by_age, reverse=to_add > 0)
        ordered.sort(key=replicas_of, reverse=True)
    sizes: list[int] = []
    added = 0
    for each in ordered:
        part = _proportion(deployment, each, to_add, added) if to_add else 0
        sizes.append(replicas_of(each) + part)
        added += part
    if sizes and to_add:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return list(zip(ordered, sizes, strict=True))


def _proportion(deployment: Object, replica_set: Object, to_add: int, added: int) -> int:
    if replicas_of(replica_set) == 0 or to_add == added:
        return 0
    fraction = _fraction(deployment, replica_set)
    left = to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(deployment: Object, replica_set: Object) -> int:
    desired, own = replicas_of(deployment), replicas_of(replica_set)
    if desired == 0:
        return -own
    before_text = annotations_of(replica_set).get(MAX_REPLICAS, "")
    before = int(before_text) if before_text.isdigit() else 0
    if before == 0:
        before = (deployment.get("status") or {}).get("replicas", 0)
        if before == 0:
            return 0
    size = own * (desired + max_surge(deployment))
    # Go's math.Round: half away from zero; sizes are never negative.
    return (2 * size + before) // (2 * before) - own


class StaleCountError(Exception):
    """A ReplicaSet counts more available Pods than it wants: its last resize is not in its status yet."""


def scale_down_budget(deployment: Object, old: Sequence[Object], new: Object) -> int:
    """How many replicas of old ReplicaSets may go at most, availability of the others not yet looked at.

    Upstream: rolling.go:reconcileOldReplicaSets. Worked example: 10 replicas, maxUnavailable 2, maxSurge 3. Once 3 new
    replicas exist beside 10 old ones, at least 8 must be available; while none of the new ones is, 10 + 0 - 8 = 2 old
    ones may go.
    """
    current = total_replicas(old)
    if not current:
        return 0
    minimum = replicas_of(deployment) - max_unavailable(deployment)
    return current + _available(new) - minimum


def plan_cleanup(old: Sequence[Object], budget: int) -> Iterator[tuple[int, int]]:
    """Which old ReplicaSets, by position, first give up replicas that are not available, and their new sizes.

    Upstream: rolling.go:cleanupUnhealthyReplicas

    Raises:
        StaleCountError: a status is behind its spec; nothing is to be scaled now.
    """
    for at in _oldest_first(old):
        if budget <= 0:
            break
        size = replicas_of(old[at])
        unhealthy = size - _available(old[at])
        if not size or not unhealthy:
            continue
        gone = min(budget, unhealthy)
        if gone < 0:
            raise StaleCountError
        yield at, size - gone
        budget -= gone


def plan_scale_down(deployment: Object, old: Sequence[Object], new: Object) -> list[tuple[int, int]]:
    """Which old ReplicaSets, by position, shrink to what sizes so that enough replicas stay available.

    Upstream: rolling.go:scaleDownOldReplicaSetsForRollingUpdate
    """
    spare = status_sum([*old, new], "availableReplicas") - (replicas_of(deployment) - max_unavailable(deployment))
    plan = []
    for at in _oldest_first(old):
        gone = min(replicas_of(old[at]), spare)
        if gone > 0:
            plan.append((at, replicas_of(old[at]) - gone))
            spare -= gone
    return plan


def _available(replica_set: Object) -> int:
    return int((replica_set.get("status") or {}).get("availableReplicas", 0))


def by_age(obj: Object) -> tuple[str, str]:
    """Sort key: oldest first, then by name."""
    return obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]


def _oldest_first(replica_sets: Sequence[Object]) -> list[int]:
    return sorted(range(len(replica_sets)), key=lambda at: by_age(replica_sets[at]))
