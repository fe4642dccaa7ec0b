"""The OpenAPI document against the service: one describes the other."""

from __future__ import annotations

import re

import pydantic_core
import pytest
from running import VEHICLE, serving

from vehicle_api import openapi
from vehicle_api.app import make_app
from vehicle_api.core import Vehicle, VehicleFields, VehicleList
from vehicle_api.settings import read_settings


def test_each_route_is_described_and_nothing_else():
    """Paths and methods of the document are those of the application."""
    app = make_app(read_settings({}))
    served = {
        (route.resource.canonical, route.method.lower()) for route in app.router.routes() if route.method != "HEAD"
    }
    paths = openapi.document()["paths"]
    described = {(path, method) for path, item in paths.items() for method in item if method != "parameters"}

    assert described == served


def test_every_reference_leads_somewhere():
    """And every schema is referred to."""
    document = openapi.document()
    text = pydantic_core.to_json(document).decode()
    named = set(re.findall(r"#/components/schemas/(\w+)", text))

    assert named == set(document["components"]["schemas"])


def test_a_field_in_the_model_is_a_field_in_the_document():
    """Names, required or not, and limits come from the models."""
    schemas = openapi.document()["components"]["schemas"]

    assert list(schemas["VehicleFields"]["properties"]) == list(VehicleFields.model_fields)
    assert schemas["VehicleFields"]["required"] == ["vin", "make", "model", "year"]
    assert schemas["VehicleFields"]["additionalProperties"] is False
    assert schemas["VehicleFields"]["properties"]["year"]["maximum"] == 2100
    assert schemas["Vehicle"]["required"] == list(Vehicle.model_fields)
    assert schemas["VehiclePatch"]["required"] == []


def test_each_operation_that_needs_the_database_may_be_unavailable():
    """With a Retry-After."""
    for path, item in openapi.document()["paths"].items():
        for method in set(item) - {"parameters"}:
            needs_it = path not in ("/healthz", "/metrics", "/openapi.json")
            responses = item[method]["responses"]
            assert ("503" in responses) == needs_it, (method, path)
            if needs_it:
                assert "Retry-After" in responses["503"]["headers"]


async def test_answers_are_what_the_models_say(emptied_environment):
    """A vehicle and a page of them, read strictly; and the document itself is served."""
    async with serving(emptied_environment) as client:
        async with client.post("/api/vehicles", json=VEHICLE) as answer:
            Vehicle.model_validate_json(await answer.read(), strict=True)
        async with client.get("/api/vehicles?limit=1") as answer:
            VehicleList.model_validate_json(await answer.read(), strict=True)
        async with client.get("/openapi.json") as answer:
            assert answer.status == 200
            assert (await answer.json())["openapi"] == "3.1.0"


@pytest.mark.parametrize("name", ["VehicleFields", "VehiclePatch"])
def test_patterns_are_read_alike_by_everyone(name):
    """No pattern uses what only one regular expression library knows: no look-around, no classes by name."""
    schemas = openapi.document()["components"]["schemas"]
    patterns = re.findall(r'"pattern":"((?:[^"\\]|\\.)*)"', pydantic_core.to_json(schemas[name]).decode())

    assert patterns
    assert [pattern for pattern in patterns if re.search(r"\(\?|\\p|\[:", pattern)] == []
