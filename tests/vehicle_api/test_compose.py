"""specs/compose.yaml beside specs/stack.yaml: the same images, settings and limits in Compose's words."""

from __future__ import annotations

import re

import pytest
import yaml
from running import ROOT

from vehicle_api.settings import read_settings

COMPOSE = yaml.safe_load((ROOT / "specs" / "compose.yaml").read_text())
STACK = {
    (each["kind"], each["metadata"]["name"]): each
    for each in yaml.safe_load_all((ROOT / "specs" / "stack.yaml").read_text())
}
WORKLOADS = [("postgres", "StatefulSet"), ("vehicle-api", "Deployment")]
# Top-level keys and those of a service: https://github.com/compose-spec/compose-spec/blob/main/schema/compose-spec.json
SERVICE_KEYS = {
    *("image", "build", "restart", "stop_grace_period", "environment", "volumes", "healthcheck", "deploy", "ports"),
    *("user", "read_only", "tmpfs", "cap_drop", "security_opt"),
}


def _pod(name, kind):
    return STACK[kind, name]["spec"]["template"]["spec"]


def test_only_words_of_compose_are_used():
    """A key that Compose does not know would stop it."""
    assert set(COMPOSE) == {"name", "services", "volumes"}
    for service in COMPOSE["services"].values():
        assert set(service) <= SERVICE_KEYS
        assert set(service["healthcheck"]) <= {
            "test",
            "interval",
            "timeout",
            "retries",
            "start_period",
            "start_interval",
        }
    assert {volume.partition(":")[0] for volume in COMPOSE["services"]["postgres"]["volumes"]} == set(
        COMPOSE["volumes"]
    )


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_both_files_describe_the_same_container(name, kind):
    """Image, variables, grace period, memory and number."""
    service, pod = COMPOSE["services"][name], _pod(name, kind)
    [container] = pod["containers"]
    settings = {entry["name"] for entry in container["env"]} | set(STACK["ConfigMap", "vehicle-api"]["data"])

    assert service["image"] == container["image"]
    assert service["stop_grace_period"] == f"{pod['terminationGracePeriodSeconds']}s"
    assert set(service["environment"]) <= settings
    assert {entry["name"] for entry in container["env"]} <= set(service["environment"])
    assert service["deploy"]["resources"]["limits"]["memory"] == container["resources"]["limits"]["memory"].rstrip("i")
    assert service["deploy"].get("replicas", 1) == STACK[kind, name]["spec"]["replicas"]


def test_the_passwords_are_one():
    """The database's and the service's, and the stack's Secret."""
    found = {service["environment"]["POSTGRES_PASSWORD"] for service in COMPOSE["services"].values()}

    assert found == {"${POSTGRES_PASSWORD:-" + STACK["Secret", "postgres-credentials"]["stringData"]["password"] + "}"}


def test_the_service_understands_what_both_files_tell_it():
    """Compose's variables and the stack's are settings that it reads."""
    told = COMPOSE["services"]["vehicle-api"]["environment"]
    settings = read_settings(told)

    assert (settings.database.host, settings.database.port) == ("postgres", 5432)
    assert settings.listen_port == int(COMPOSE["services"]["vehicle-api"]["ports"][0].rpartition(":")[2])
    [container] = _pod("vehicle-api", "Deployment")["containers"]
    assert settings.listen_port == container["ports"][0]["containerPort"]
    assert set(STACK["ConfigMap", "vehicle-api"]["data"]) <= set(told)


def test_the_image_is_as_careful_as_the_stack_asks():
    """The user is the stack's, the base is the stack's Python, and nothing is installed but what is locked."""
    text = (ROOT / "Dockerfile").read_text()
    context = _pod("vehicle-api", "Deployment")["securityContext"]

    assert f"USER {context['runAsUser']}:{context['runAsGroup']}" in text
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.11-slim"}
    assert "--constraint requirements.lock" in text
    assert re.search(r"^HEALTHCHECK .*vehicle_api.healthcheck", text, re.MULTILINE)
    assert COMPOSE["services"]["vehicle-api"]["read_only"] is True
