"""Reading a user's manifests: text in, checked objects out, every mistake reported with its file and line.

What belongs here ends at structure: YAML, kinds, fields and their types. Whether values make sense together is the API
server's validation; `Manifest.locate` gives its field paths a line.
"""

from __future__ import annotations

from kubesim.manifests.load import load
from kubesim.manifests.manifest import Manifest, ManifestErrors

__all__ = ["Manifest", "ManifestErrors", "load"]
