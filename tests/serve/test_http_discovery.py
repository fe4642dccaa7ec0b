"""Discovery, OpenAPI and Table columns against what a real 1.36 API server said."""

from __future__ import annotations

import json
import lzma

import pytest
from http_asking import FACTS

from kubesim.api.kinds import ALL_KINDS
from kubesim.printing.columns import printed

DISCOVERY = json.loads(lzma.decompress((FACTS / "discovery.json.xz").read_bytes()))
COLUMNS = json.loads((FACTS / "table_columns.json").read_text())
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@pytest.mark.parametrize("path", sorted(DISCOVERY))
def test_discovery_is_the_real_servers(ask, path):
    """Groups, resources, verbs, short names, categories and hashes are all as recorded."""
    accept = AGGREGATED if path.endswith(";v2") else "application/json"

    got = ask("GET", path.removesuffix(";v2"), Accept=accept).json

    expected = DISCOVERY[path]
    if path == "/api":
        got["serverAddressByClientCIDRs"] = expected["serverAddressByClientCIDRs"]
    assert got == expected


def test_aggregated_discovery_can_be_asked_whether_it_changed(ask):
    """The same ETag is a 304."""
    first = ask("GET", "/apis", Accept=AGGREGATED)
    second = ask("GET", "/apis", Accept=AGGREGATED, If_None_Match=first.headers["ETag"])

    assert first.headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert (second.code, second.text) == (304, b"")


@pytest.mark.parametrize("plural", sorted(COLUMNS))
def test_columns_are_the_real_servers(plural):
    """Names, types, formats and priorities of every recorded kind's columns."""
    kind = next(kind for kind in ALL_KINDS if kind.plural == plural)

    assert [list(column) for column in printed(kind).columns] == COLUMNS[plural]


def test_openapi_v3_says_what_kubectl_looks_for(ask):
    """The schema has kinds and merge keys, and a patch has the parameter by which kubectl knows of validation."""
    index = ask("GET", "/openapi/v3").json["paths"]

    document = ask("GET", index["apis/apps/v1"]["serverRelativeURL"]).json

    schemas = document["components"]["schemas"]
    kinds = schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"]
    assert kinds == [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert (containers["x-kubernetes-patch-merge-key"], containers["x-kubernetes-patch-strategy"]) == ("name", "merge")
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"]["kind"] == "Deployment"
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3/api/v1", "/openapi/v3/apis/batch/v1"])
def test_every_reference_of_openapi_leads_somewhere(ask, path):
    """No schema refers to one that is missing."""
    document = ask("GET", path).json

    schemas = document.get("definitions") or document["components"]["schemas"]
    referred = {word.rpartition("/")[2] for word in json.dumps(document).split('"') if word.startswith("#/")}
    assert referred
    assert referred <= set(schemas)
