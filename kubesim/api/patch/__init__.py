"""The kinds of patch as functions from an object and a patch to the patched object.

Nothing is changed in place: results share every untouched part with the object handed in, and a patch that changes
nothing returns that very object. Refusals are the API server's, as `ApiError`.
"""

from __future__ import annotations

from kubesim.api.patch.difference import plan_two_way_merge_patch
from kubesim.api.patch.json_patch import apply_json_patch
from kubesim.api.patch.merge_patch import apply_merge_patch
from kubesim.api.patch.strategic import apply_strategic_merge_patch

__all__ = ["apply_json_patch", "apply_merge_patch", "apply_strategic_merge_patch", "plan_two_way_merge_patch"]
