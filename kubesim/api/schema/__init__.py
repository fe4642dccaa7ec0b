"""What the published OpenAPI schema of Kubernetes 1.36 says about every field, as data.

The table `definitions.json` is made from upstream's swagger.json by `generate`; `table` reads it lazily; `check` holds
objects against it as the API server's strict decoder does; `wire` writes the decoder's error texts.
"""

from __future__ import annotations

from kubesim.api.schema.table import Definition, Field, definition, field, fields, merge_key

__all__ = ["Definition", "Field", "definition", "field", "fields", "merge_key"]
