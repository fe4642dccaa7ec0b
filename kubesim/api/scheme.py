"""The table of kinds: one row per built-in kind, and the look-ups over it.

Everything that differs by kind is either a column here, a row in another module's table keyed by `Kind.resource`, or
a definition of the published OpenAPI schema, named by `Kind.schema`.
"""

from __future__ import annotations

from typing import final


@final
class Kind:
    """One kind in one version of one group. Made once, in the table; compared by identity.

    `resource` (`deployments.apps`) is what the store, errors and tables call the kind; versions of one kind share it.
    `modelled` says that a controller gives the kind behaviour; the others are checked, stored and left alone.
    """

    __slots__ = (
        "api_version",
        "categories",
        "group",
        "kind",
        "modelled",
        "namespaced",
        "plural",
        "resource",
        "schema",
        "short_names",
        "singular",
        "subresources",
        "version",
    )

    def __init__(
        self,
        group: str,
        version: str,
        kind: str,
        plural: str,
        *,
        namespaced: bool,
        schema: str,
        short_names: tuple[str, ...] = (),
        subresources: tuple[str, ...] = (),
        categories: tuple[str, ...] = (),
        modelled: bool = False,
    ) -> None:
        self.group = group
        self.version = version
        self.kind = kind
        self.plural = plural
        self.singular = kind.lower()
        self.namespaced = namespaced
        self.schema = schema
        self.short_names = short_names
        self.subresources = subresources
        self.categories = categories
        self.modelled = modelled
        self.api_version = f"{group}/{version}" if group else version
        self.resource = f"{plural}.{group}" if group else plural

    def __repr__(self) -> str:
        return f"Kind({self.api_version} {self.kind})"
