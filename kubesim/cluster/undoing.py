"""Going back to an earlier revision of a Deployment, as a client does it: the old template is put into the spec again.

Upstream: kubectl/pkg/polymorphichelpers/rollback.go:DeploymentRollbacker @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable

from kubesim.api.kinds import DEPLOYMENT
from kubesim.api.objects import Object, controller_of
from kubesim.api.requests import Request, patch
from kubesim.controllers.deployment_revisions import revision_of, rolled_back, same_template
from kubesim.errors import UserError


def plan_undo(deployment: Object, replica_sets: Iterable[Object], revision: int) -> Request | None:
    """The request that goes back to `revision`, or for 0 to the one before; None where the template is that already.

    Raises:
        UserError: it is no Deployment, it is paused, or there is no such revision.
    """
    metadata = deployment["metadata"]
    if deployment["kind"] != DEPLOYMENT.kind:
        raise UserError(f"only a Deployment can be rolled back, not a {deployment['kind']}")
    name = f"deployment/{metadata['name']}"
    owned = [each for each in replica_sets if (controller_of(each) or {}).get("uid") == metadata["uid"]]
    owned.sort(key=revision_of, reverse=True)
    if revision:
        owned = [each for each in owned if revision_of(each) == revision]
        if not owned:
            raise UserError(f"{name} has no revision {revision}; `kubectl rollout history` shows those that it has")
    elif len(owned) < 2:
        raise UserError(f"{name} has no revision before the present one to go back to")
    target = owned[0] if revision else owned[1]
    if deployment["spec"].get("paused"):
        raise UserError(f"{name} is paused; resume it before going back")
    if same_template(target["spec"]["template"], deployment["spec"]["template"]):
        return None
    changed = rolled_back(deployment, target)
    operations = [
        {"op": "replace", "path": "/spec/template", "value": changed["spec"]["template"]},
        {"op": "replace", "path": "/metadata/annotations", "value": changed["metadata"]["annotations"]},
    ]
    return patch(DEPLOYMENT, metadata["namespace"], metadata["name"], operations, "json")
