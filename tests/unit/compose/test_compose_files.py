"""Compose files: what they may say, in which forms, and that every mistake has its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from compose_world import project_of

from kubesim.compose.file import read_project
from kubesim.compose.interpolation import MalformedError, interpolate
from kubesim.compose.model import Dependency, Healthcheck, Mount, PublishedPort
from kubesim.compose.restart_policy import RestartPolicy
from kubesim.compose.units import parse_bytes, parse_duration
from kubesim.errors import UserError

ROOT = Path(__file__).parents[3]
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    "text, seconds",
    [("10s", 10), ("1m30s", 90), ("2h32m", 9120), ("500ms", 0.5), ("40us", 0.00004), ("1.5s", 1.5), ("0s", 0)]
    + [(text, None) for text in ("", "10", "s", "10 s", "-1s", "1d", "1s2", "ten")],
)
def test_spans_of_time(text, seconds):
    """As the specification has them."""
    span_ns = parse_duration(text)

    assert span_ns == (None if seconds is None else round(seconds * SECOND))


@pytest.mark.parametrize(
    "text, size",
    [
        ("512M", 512 << 20),
        ("1g", 1 << 30),
        ("64kb", 64 << 10),
        ("300b", 300),
        ("300", 300),
        ("0.5m", 512 << 10),
        ("1 gb", 1 << 30),
    ]
    + [(text, None) for text in ("", "M", "512Mi", "-1", "1tb", "x")],
)
def test_sizes(text, size):
    """In powers of 1024."""
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "text, expected",
    [
        ("plain", "plain"),
        ("$A/${A}", "1/1"),
        ("$$A and $${A}", "$A and ${A}"),
        ("${NONE:-d} ${EMPTY:-d} ${A:-d}", "d d 1"),
        ("${NONE-d} ${EMPTY-d}.", "d ."),
        ("${A:+x}${EMPTY:+x}${EMPTY+y}${NONE+y}", "xy"),
        ("${A:?needed}", "1"),
        ("${NONE:-${A}}", "1"),
        ("${NONE:-${OTHER:-deep}}!", "deep!"),
        ("[${NONE}]", "[]"),
    ],
)
def test_variables(text, expected):
    """Every form of the specification."""
    assert interpolate(text, {"A": "1", "EMPTY": ""}, {}) == expected


@pytest.mark.parametrize(
    "text, why",
    [
        ("${A", "is never closed"),
        ("$ 5", "begins no variable"),
        ("${}", "is no variable"),
        ("${A!x}", "is no variable"),
        ("${NONE:?set it}", "the variable NONE has no value: set it"),
        ("${EMPTY:?}", "the variable EMPTY has no value: it is required"),
    ],
)
def test_variables_that_cannot_be_replaced(text, why):
    """The message says which and why."""
    with pytest.raises(MalformedError, match=why.replace("$", r"\$")):
        interpolate(text, {"A": "1", "EMPTY": ""}, {})


def one(tmp_path, body):
    """The one service of a file."""
    text = f"name: p\nservices:\n  one:\n    image: app:1\n    {body}\n  other: {{image: b:1, healthcheck: {{test: x}}}}\nvolumes: {{v: }}\n"
    return project_of(tmp_path, text).services["one"]


@pytest.mark.parametrize(
    "body, field, expected",
    [
        ('restart: "no"', "restart", RestartPolicy()),
        ("restart: on-failure:3", "restart", RestartPolicy("on-failure", 3)),
        ("deploy: {restart_policy: {condition: any}}", "restart", RestartPolicy("always")),
        (
            "deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}",
            "restart",
            RestartPolicy("on-failure", 2),
        ),
        ("ports: [80]", "ports", (PublishedPort(80),)),
        ('ports: ["8080:80"]', "ports", (PublishedPort(80, 8080, 8080),)),
        ('ports: ["127.0.0.1:8080-8082:80/tcp"]', "ports", (PublishedPort(80, 8080, 8082),)),
        ('ports: ["9000-9001:80-81"]', "ports", (PublishedPort(80, 9000, 9000), PublishedPort(81, 9001, 9001))),
        ('ports: ["53:53/udp"]', "ports", ()),
        ('ports: [{target: 80, published: "8080", protocol: tcp}]', "ports", (PublishedPort(80, 8080, 8080),)),
        ('volumes: ["v:/data:ro"]', "mounts", (Mount("/data", "v"),)),
        ("volumes: [/data]", "mounts", (Mount("/data"),)),
        ('volumes: ["./here:/data"]', "mounts", (Mount("/data", "./here", is_bind=True),)),
        ("volumes: [{type: volume, source: v, target: /data}]", "mounts", (Mount("/data", "v"),)),
        ("volumes: [{type: tmpfs, target: /tmp}]", "mounts", ()),
        ("depends_on: [other]", "depends_on", {"other": Dependency()}),
        (
            "depends_on: {other: {condition: service_healthy, restart: true, required: false}}",
            "depends_on",
            {"other": Dependency("service_healthy", restarts=True, is_required=False)},
        ),
        ("environment: [A=1, B=, C]", "environment", {"A": "1", "B": ""}),
        ("environment: {A: 1, B: '', C: }", "environment", {"A": "1", "B": ""}),
        ("healthcheck: {test: curl x}", "healthcheck", Healthcheck(test=("CMD-SHELL", "curl x"))),
        ("healthcheck: {test: [NONE]}", "healthcheck", None),
        ("healthcheck: {disable: true}", "healthcheck", None),
        ("command: sh -c 'a b'", "command", ("sh", "-c", "a b")),
        ("entrypoint: [a]\n    command: [b]", "command", ("a", "b")),
        ("mem_limit: 64m", "limit_bytes", 64 << 20),
        ("deploy: {resources: {limits: {memory: 1G}}}", "limit_bytes", 1 << 30),
        ("scale: 3", "replicas", 3),
        ("stop_grace_period: 1m", "stop_grace_ns", 60 * SECOND),
        ("tty: true", "stop_grace_ns", 10 * SECOND),
    ],
)
def test_forms(tmp_path, body, field, expected):
    """Short and long syntax come to the same values; defaults are Docker's."""
    assert getattr(one(tmp_path, body), field) == expected


@pytest.mark.parametrize(
    "body, expected",
    [
        ("imgae: x", '5:5: services.one has no key "imgae"; did you mean "image"?'),
        (
            "restart: sometimes",
            "5:5: services.one.restart cannot be 'sometimes'; known are no, always, on-failure, unless-stopped",
        ),
        ("restart: no", '5:5: services.one.restart is the truth value no, not the word "no"; write "no" in quotes'),
        ("restart: always:3", "5:5: services.one.restart cannot be 'always:3'; did you mean \"always\"?"),
        (
            "stop_grace_period: 10",
            "5:5: services.one.stop_grace_period must be a time, not 10; write it as in 10s, 1m30s or 500ms",
        ),
        ("mem_limit: lots", "5:5: services.one.mem_limit must be a size, not 'lots'; write it as in 512M or 1g"),
        (
            "ports: [http]",
            "5:13: services.one.ports[0] must be a port, not 'http'; write HOST:CONTAINER, such as 8080:80",
        ),
        ('ports: ["1-2:1-3"]', "5:13: services.one.ports[0] has ranges of different lengths; make them equal"),
        ("ports: 80", "5:5: services.one.ports must be a list, not 80; write each entry after a dash"),
        (
            "volumes: [w:/data]",
            '5:15: services.one.volumes[0] names the volume "w", which the file does not declare; add w: under volumes at the top',
        ),
        (
            "volumes: [v:data]",
            "5:15: services.one.volumes[0] has no absolute path in the container; write SOURCE:/PATH",
        ),
        (
            "healthcheck: {interval: 5s}",
            "5:5: services.one.healthcheck has no test; add the command, such as [CMD, pg_isready]",
        ),
        (
            "healthcheck: {test: [curl, x]}",
            "5:19: services.one.healthcheck.test must begin with NONE, CMD or CMD-SHELL; write a text, or a list that begins with one of them",
        ),
        ("depends_on: [nobody]", "5:5: one depends on nobody, which is no service; there are one, other"),
        (
            "depends_on: {other: {}}",
            "5:18: services.one.depends_on.other has no condition; add one of service_started, service_healthy, service_completed_successfully",
        ),
        (
            "depends_on: {other: {condition: healthy}}",
            "5:26: services.one.depends_on.other.condition cannot be 'healthy'; did you mean \"service_healthy\"?",
        ),
        ("depends_on: [one]", "5:5: one and one depend on each other; leave one of them out"),
        (
            "container_name: c\n    scale: 2",
            "5:5: services.one has a container_name and 2 replicas, and a name is for one container; leave container_name out",
        ),
        ("scale: many", "5:5: services.one.scale must be a whole number from 0 to 1000, not 'many'; correct it"),
        (
            "network_mode: host",
            '5:5: "network_mode" is not modelled, and what runs depends on it; leave the service in the project\'s own network',
        ),
        (
            "environment: {A: true}",
            "5:19: services.one.environment.A must be a text, a number or nothing, not True; put it in quotes",
        ),
        (
            "command: sh -c 'a",
            "5:5: services.one.command cannot be split into words: No closing quotation; close the quotation",
        ),
        (
            "user: ${WHO:?say who}",
            "5:5: the variable WHO has no value: say who; correct it, or write $$ for a dollar sign",
        ),
        ("image: app:2", '5:5: the key "image" was already given at line 4; keep one'),
    ],
)
def test_mistakes(tmp_path, body, expected):
    """File, line, column, what is wrong and what to do."""
    with pytest.raises(UserError) as caught:
        one(tmp_path, body)

    assert str(caught.value) == f"{tmp_path / 'compose.yaml'}:{expected}"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("services: {}\n", "a Compose file must have services; add them under services:"),
        ("[]\n", "a Compose file must be a mapping, not a list; write KEY: VALUE lines"),
        ("services: {a: {image: x}}\nvolumes: {v: 5}\n", "volumes.v must be a mapping, not 5; write KEY: VALUE lines"),
        ("services: {a: {image: x}}\nvolumes: [v]\n", "volumes must be a mapping, not a list; write KEY: VALUE lines"),
        ("services: {a: {}}\n", "services.a has neither image nor build; add one of them"),
        ("service: {}\n", 'a Compose file has no key "service"; did you mean "services"?'),
        (
            "services: {a: {image: x, depends_on: {b: {condition: service_healthy}}}, b: {image: x}}\n",
            "a waits for b to be healthy, and b has no healthcheck; give it one, or wait for service_started",
        ),
        ("", "it has 0 documents; a Compose file has one"),
        ("a: [\n", "not YAML"),
    ],
)
def test_files_that_are_none(tmp_path, text, expected):
    """Each says what is missing."""
    with pytest.raises(UserError) as caught:
        project_of(tmp_path, text)

    assert expected in str(caught.value)


def test_every_mistake_is_reported(tmp_path):
    """One line each, in the order of the text."""
    with pytest.raises(UserError) as caught:
        project_of(tmp_path, "services:\n  a: {image: x, restrat: always}\n  b: {ports: [x]}\nx-own: 1\n")

    assert [line.partition("yaml:")[2].partition(":")[0] for line in str(caught.value).split("\n")] == ["2", "3", "3"]


def test_keys_without_effect_and_variables_without_value_are_known(tmp_path):
    """For the report's notes."""
    text = "services:\n  a: {image: 'x:${TAG}', user: root, tty: true, x-note: 1}\n  b: {image: z, user: root}\n"
    project = project_of(tmp_path, text)

    assert project.ignored == {"user": ("a", "b"), "tty": ("a",)}
    assert project.unset == ("TAG",)
    assert project.name == tmp_path.name.lower().lstrip("_-")


def test_the_environment_decides_variables(tmp_path):
    """As the shell's does."""
    text = "services: {a: {image: 'x:${TAG:-1}'}}\n"

    assert project_of(tmp_path, text).services["a"].image == "x:1"
    assert project_of(tmp_path, text, TAG="2").services["a"].image == "x:2"


def test_the_reference_stack_is_read():
    """Nothing of it is an error."""
    project = read_project(ROOT / "specs" / "compose.yaml", {})

    assert project.name == "vehicles"
    assert [(each.name, each.replicas, each.restart.name) for each in project.services.values()] == [
        ("postgres", 1, "always"),
        ("vehicle-api", 3, "always"),
    ]
