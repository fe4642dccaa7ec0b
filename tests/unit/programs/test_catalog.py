"""Which program an image is."""

from __future__ import annotations

import pytest

from kubesim.errors import UserError
from kubesim.programs.catalog import Catalog, image_name
from kubesim.programs.declared import DeclaredProgram
from kubesim.programs.plain import PlainProgram
from kubesim.programs.postgres import PostgresProgram
from kubesim.programs.vehicle_api import VehicleApiProgram


@pytest.mark.parametrize(
    "image, expected",
    [
        ("postgres", ("postgres", "")),
        ("postgres:15", ("postgres", "15")),
        ("docker.io/library/postgres:15@sha256:0123", ("postgres", "15")),
        ("localhost:5000/team/vehicle-api:2-crash", ("vehicle-api", "2-crash")),
        ("localhost:5000/vehicle-api", ("vehicle-api", "")),
    ],
)
def test_image_name(image, expected):
    """Registry, port, digest and folders do not matter."""
    assert image_name(image) == expected


@pytest.mark.parametrize(
    "image, program, is_known",
    [
        ("postgres:15", PostgresProgram, True),
        ("vehicle-api:dev", VehicleApiProgram, True),
        ("vehicle-api:3-unready", VehicleApiProgram, True),
        ("nginx:1.27", PlainProgram, False),
        ("postgres-exporter:1", PlainProgram, False),
        ("worker:1", DeclaredProgram, True),
        ("worker:2", DeclaredProgram, True),
    ],
)
def test_programs_by_image(image, program, is_known):
    """Shipped images and those of a scenario file are known; any other is plain, and the run can say so."""
    catalog = Catalog({"worker": {"exitCode": 1}})

    found = catalog.find_program(image, {})

    assert (type(found.factory()), found.is_known) == (program, is_known)


def test_an_annotation_wins_over_the_image():
    """The Pod's own description comes first, that for one container before that for all."""
    catalog = Catalog()
    annotations = {
        "kubesim.dev/program": '{"memory": "1Mi"}',
        "kubesim.dev/program.side": '{"memory": "2Mi"}',
    }

    main = catalog.find_program("postgres:15", annotations, "main").factory()
    side = catalog.find_program("postgres:15", annotations, "side").factory()

    assert (main._description.memory, side._description.memory) == (1 << 20, 2 << 20)


def test_every_container_gets_a_program_of_its_own():
    """Two starts share no state."""
    factory = Catalog().find_program("postgres:15", {}).factory

    assert factory() is not factory()


@pytest.mark.parametrize(
    "annotations, text",
    [
        pytest.param(
            {"kubesim.dev/program": "{startSeconds: 2}"},
            "annotation kubesim.dev/program: not JSON (Expecting property name enclosed in double quotes: "
            'line 1 column 2 (char 1)); write an object such as {"startSeconds": 2}',
            id="not JSON",
        ),
        pytest.param(
            {"kubesim.dev/program": "[]"},
            "annotation kubesim.dev/program: must be a JSON object such as {\"startSeconds\": 2}, not '[]'",
            id="not an object",
        ),
        pytest.param(
            {"kubesim.dev/program": '{"startSecond": 2}'},
            "annotation kubesim.dev/program: unknown field 'startSecond'; known are execExitCode, exitAfterSeconds, "
            "exitCode, ignoreTerminate, listen, memory, memoryPerSecond, readyAfterSeconds, readyPath, requestSeconds, "
            "startSeconds, status, terminateSeconds, unreadyAfterSeconds",
            id="an unknown field",
        ),
        pytest.param(
            {"kubesim.dev/program": '{"startSeconds": "2s"}'},
            "annotation kubesim.dev/program: startSeconds must be a number of seconds from 0, not '2s'",
            id="seconds as a text",
        ),
        pytest.param(
            {"kubesim.dev/program": '{"exitCode": 256}'},
            "annotation kubesim.dev/program: exitCode must be a whole number from 0 to 255, not 256",
            id="an exit code out of range",
        ),
        pytest.param(
            {"kubesim.dev/program": '{"memory": "64 MB"}'},
            "annotation kubesim.dev/program: memory must be a quantity such as 64Mi, not '64 MB'",
            id="no quantity",
        ),
        pytest.param(
            {"kubesim.dev/program": '{"listen": 8080}'},
            "annotation kubesim.dev/program: listen must be a list of port numbers, not 8080",
            id="a single port",
        ),
        pytest.param(
            {"kubesim.dev/program": '{"readyPath": "ready"}'},
            "annotation kubesim.dev/program: readyPath must be a path that begins with /, not 'ready'",
            id="a path without slash",
        ),
        pytest.param(
            {"kubesim.dev/program": '{"ignoreTerminate": "yes"}'},
            "annotation kubesim.dev/program: ignoreTerminate must be true or false, not 'yes'",
            id="no boolean",
        ),
        pytest.param(
            {"kubesim.dev/vehicle-api": "boom"},
            "annotation kubesim.dev/vehicle-api: 'boom' is none of crash, unready, errors, slow, leak",
            id="an unknown way to be broken",
        ),
    ],
)
def test_mistakes(annotations, text):
    """A mistake is one line that says what, where and what to do."""
    with pytest.raises(UserError) as caught:
        Catalog().find_program("vehicle-api:dev", annotations)

    assert str(caught.value) == text


def test_mistakes_in_a_scenario_file_name_the_image():
    """The place is the image's entry."""
    with pytest.raises(UserError, match=r"^program of image 'worker': exitCode must be a whole number"):
        Catalog({"worker": {"exitCode": "1"}})
