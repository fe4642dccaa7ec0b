"""The HTTP form of requests, as the API's conventions have it."""

from __future__ import annotations

import pytest

from adapters.http_form import http_form
from kubesim.api.kinds import DEPLOYMENT, NODE, POD
from kubesim.api.requests import Options, Request, create, create_subresource, delete, get, list_all, patch, update

APPS = "/apis/apps/v1/namespaces/ns/deployments"
OBJECT = {"metadata": {"name": "x", "namespace": "ns"}}
CASES = (
    ("create", create(DEPLOYMENT, OBJECT), "POST", APPS, {"fieldManager": "me"}),
    ("get of the cluster", get(NODE, "", "n"), "GET", "/api/v1/nodes/n", {}),
    (
        "list of one namespace",
        list_all(POD, "ns", Options(label_selector="a=b", limit=5)),
        "GET",
        "/api/v1/namespaces/ns/pods",
        {"labelSelector": "a=b", "limit": "5"},
    ),
    ("list of all", list_all(POD), "GET", "/api/v1/pods", {}),
    ("update of a status", update(DEPLOYMENT, OBJECT, "status"), "PUT", f"{APPS}/x/status", {"fieldManager": "me"}),
    ("scale", patch(DEPLOYMENT, "ns", "x", {}, "merge", "scale"), "PATCH", f"{APPS}/x/scale", {"fieldManager": "me"}),
    (
        "eviction",
        create_subresource(POD, "ns", "x", "eviction", {}),
        "POST",
        "/api/v1/namespaces/ns/pods/x/eviction",
        {"fieldManager": "me"},
    ),
    (
        "dry run",
        create(POD, OBJECT, Options(dry_run=True, field_validation="Strict")),
        "POST",
        "/api/v1/namespaces/ns/pods",
        {"fieldManager": "me", "dryRun": "All", "fieldValidation": "Strict"},
    ),
)


@pytest.mark.parametrize("name, request_, method, path, query", CASES, ids=[case[0] for case in CASES])
def test_a_request_becomes_method_path_and_query(name, request_, method, path, query):
    """Subresources and collections each have their own path."""
    del name
    form = http_form(request_, "me")

    assert (form.method, form.path, form.query) == (method, path, query)


@pytest.mark.parametrize(
    "patch_type, content_type",
    [
        ("json", "application/json-patch+json"),
        ("merge", "application/merge-patch+json"),
        ("strategic", "application/strategic-merge-patch+json"),
        ("apply", "application/apply-patch+yaml"),
    ],
)
def test_each_patch_has_its_content_type(patch_type, content_type):
    """The body goes as it is."""
    form = http_form(patch(POD, "ns", "x", {"a": 1}, patch_type), "me")

    assert (form.content_type, form.body) == (content_type, {"a": 1})


def test_a_delete_carries_its_options_in_the_body():
    """Grace, propagation and preconditions."""
    options = Options(propagation="Orphan", grace_period_s=0, precondition_uid="u", dry_run=True)
    form = http_form(delete(POD, "ns", "x", options), "me")

    assert form.body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Orphan",
        "gracePeriodSeconds": 0,
        "dryRun": ["All"],
        "preconditions": {"uid": "u"},
    }
    assert http_form(Request("deletecollection", POD, "ns"), "me").path == "/api/v1/namespaces/ns/pods"
