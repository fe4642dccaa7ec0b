"""Secret: a type, and `stringData` merged into `data`.

Upstream: pkg/apis/core/v1/defaults.go:SetDefaults_Secret,
pkg/apis/core/v1/conversion.go:Convert_v1_Secret_To_core_Secret @v1.36
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

from kubesim.api.objects import Object


def _secret(obj: Object) -> Object:
    if "stringData" in obj:
        texts = obj["stringData"] or {}
        obj = {name: obj[name] for name in obj if name != "stringData"}
        if texts:
            encoded = {key: b64encode(text.encode()).decode() for key, text in texts.items()}
            obj["data"] = {**(obj.get("data") or {}), **encoded}
    return obj if obj.get("type") else {**obj, "type": "Opaque"}


DEFAULTS: dict[str, Callable[[Object], Object]] = {"secrets": _secret}
