"""The file that tells kubectl and every other client where the server is and who its user is."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from kubesim.errors import UserError
from kubesim.http.certificates import Certificates

_NAME = "kubesim"


def kubeconfig(url: str, certificates: Certificates | None) -> dict[str, Any]:
    """The configuration for the administrator of the server at `url`."""
    cluster: dict[str, Any] = {"server": url}
    user: dict[str, Any] = {}
    if certificates is not None:
        cluster["certificate-authority-data"] = _base64(certificates.authority)
        user["client-certificate-data"] = _base64(certificates.client.certificate)
        user["client-key-data"] = _base64(certificates.client.key)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": user}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME}}],
        "current-context": _NAME,
    }


def write_kubeconfig(path: Path, config: dict[str, Any]) -> None:
    """Write it so that only this user can read it, whole or not at all.

    Raises:
        UserError: it cannot be written there.
    """
    import msgspec

    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.yaml.encode(config))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        why = (error.strerror or "unknown").lower()
        raise UserError(f"{path}: cannot be written: {why}; name another file") from error


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
