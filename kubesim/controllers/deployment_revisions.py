"""The ReplicaSets of a Deployment: which is new, which are old, and what their annotations say.

Pure functions. Upstream: pkg/controller/deployment/util/deployment_util.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object, annotations_of, owner_reference, with_metadata
from kubesim.controllers.deployment_scale import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    by_age,
    max_surge,
    new_replica_count,
    replicas_of,
)
from kubesim.controllers.template_hash import compute_hash

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
ROLLBACK_TO = "deprecated.deployment.rollback.to"
HASH_LABEL = "pod-template-hash"
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        ROLLBACK_TO,
    }
)
_HISTORY_CHARS_MAX = 2000
_NAME_MAX = 253


def as_int(text: str | None) -> int | None:
    """The number that an annotation holds, None if it holds none."""
    try:
        return int(text or "")
    except ValueError:
        return None


def revision_of(obj: Object) -> int:
    """The revision in the object's annotation, 0 without one."""
    return as_int(annotations_of(obj).get(REVISION)) or 0


def rollback_revision(deployment: Object) -> int | None:
    """The revision that the deprecated annotation asks to go back to, 0 for the one before; None without one.

    Upstream: rollback.go:getRollbackTo
    """
    return as_int(annotations_of(deployment).get(ROLLBACK_TO))


def max_revision(replica_sets: Iterable[Object]) -> int:
    """The highest revision, 0 where there is none."""
    return max(map(revision_of, replica_sets), default=0)


def last_revision(replica_sets: Iterable[Object]) -> int:
    """The second highest revision, which is what `rollout undo` goes back to; 0 where there is none."""
    revisions = sorted((0, 0, *map(revision_of, replica_sets)), reverse=True)
    return revisions[1]


def _without_hash(template: Object) -> Object:
    metadata = template.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if HASH_LABEL in labels:
        labels = {name: value for name, value in labels.items() if name != HASH_LABEL}
        metadata = {**metadata, "labels": labels}
    return {**template, "metadata": metadata}


_plain_template = IdentityMemo(_without_hash, 512)


def same_template(one: Object, other: Object) -> bool:
    """Whether two Pod templates are equal but for the hash label."""
    return bool(_plain_template(one) == _plain_template(other))


def find_new(deployment: Object, replica_sets: Iterable[Object]) -> Object | None:
    """The oldest ReplicaSet that has the Deployment's template."""
    template = deployment["spec"]["template"]
    matching = [each for each in replica_sets if same_template(each["spec"]["template"], template)]
    return min(matching, key=by_age, default=None)


def find_old(replica_sets: Sequence[Object], new: Object | None) -> list[Object]:
    """All ReplicaSets but the new one."""
    return [each for each in replica_sets if new is None or each["metadata"]["uid"] != new["metadata"]["uid"]]


def annotated_as_new(deployment: Object, replica_set: Object, revision: int, *, exists: bool) -> Object:
    """The ReplicaSet with the annotations of the newest one; itself when it has them.

    Upstream: deployment_util.go:SetNewReplicaSetAnnotations
    """
    before = annotations_of(replica_set)
    copied = {name: value for name, value in annotations_of(deployment).items() if name not in _NOT_COPIED}
    annotations = {**before, **copied}
    old_text = annotations.get(REVISION, "")
    old = as_int(old_text or "0")
    if old is None:
        return replica_set
    if old < revision:
        annotations[REVISION] = str(revision)
        if REVISION in before:
            annotations[REVISION_HISTORY] = _history(annotations.get(REVISION_HISTORY, ""), old_text)
    if not exists:
        desired = replicas_of(deployment)
        annotations[DESIRED_REPLICAS] = str(desired)
        annotations[MAX_REPLICAS] = str(desired + max_surge(deployment))
    return replica_set if annotations == before else with_metadata(replica_set, annotations=annotations)


def _history(history: str, revision: str) -> str:
    revisions = history.split(",") if history else []
    while revisions and len(",".join((*revisions, revision))) > _HISTORY_CHARS_MAX:
        revisions.pop(0)
    return ",".join((*revisions, revision))


def build_new(deployment: Object, old: Sequence[Object], revision: int) -> Object:
    """The ReplicaSet for the Deployment's template as it is now, at the size that it may start with."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    template = spec["template"]
    digest = compute_hash(template, (deployment.get("status") or {}).get("collisionCount"))
    template_metadata = template.get("metadata") or {}
    labels = {**(template_metadata.get("labels") or {}), HASH_LABEL: digest}
    selector = spec["selector"]
    selector = {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}}
    replica_set: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name'][: _NAME_MAX - 1 - len(digest)]}-{digest}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {
            "replicas": 0,
            "selector": selector,
            "template": {**template, "metadata": {**template_metadata, "labels": labels}},
        },
    }
    if spec.get("minReadySeconds"):
        replica_set["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    count = new_replica_count(deployment, [*old, replica_set], replica_set)
    replica_set = {**replica_set, "spec": {**replica_set["spec"], "replicas": count}}
    return annotated_as_new(deployment, replica_set, revision, exists=False)


def rolled_back(deployment: Object, replica_set: Object) -> Object:
    """The Deployment with the template and annotations of one of its ReplicaSets.

    Upstream: deployment_util.go:SetFromReplicaSetTemplate, SetDeploymentAnnotationsTo
    """
    kept = {name: value for name, value in annotations_of(deployment).items() if name in _NOT_COPIED}
    back = {name: value for name, value in annotations_of(replica_set).items() if name not in _NOT_COPIED}
    deployment = with_metadata(deployment, annotations={**kept, **back})
    template = _plain_template(replica_set["spec"]["template"])
    return {**deployment, "spec": {**deployment["spec"], "template": template}}
