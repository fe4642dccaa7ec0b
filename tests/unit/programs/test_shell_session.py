"""Commands beside a container's own process, as exec starts them: output, input, signals and ends in virtual time."""

from __future__ import annotations

import pytest

from kubesim.programs.shell.session import Input, Session
from kubesim.sim.loop import SECOND


@pytest.fixture
def start(plane):
    """Start a command in a container of an unknown image; gives what is seen of it, and the session."""

    def begin(command, given=None, image="nginx:1"):
        process = plane.run(image, "10.244.0.1")
        seen = []
        session = Session(
            process,
            process.program,
            command,
            given or Input(),
            output=lambda text: seen.append((plane.loop.now_ns // SECOND, 1, text)),
            error=lambda text: seen.append((plane.loop.now_ns // SECOND, 2, text)),
            on_end=lambda code: seen.append((plane.loop.now_ns // SECOND, code)),
        )
        session.start()
        return seen, session

    return begin


def test_output_comes_as_it_is_written(plane, start):
    """Output at its instants, descriptors apart, the code at the end."""
    seen, _ = start(["sh", "-c", "echo a; sleep 1; echo b >&2; exit 6"])
    plane.wait(2)

    assert seen == [(0, 1, "a\n"), (1, 2, "b\n"), (1, 6)]


def test_a_script_after_other_options_is_run(plane, start):
    """`sh -x -c` runs its script, and shows it: it does not wait for commands."""
    seen, _ = start(["/bin/sh", "-x", "-c", "echo a"])
    plane.wait(1)

    assert seen == [(0, 2, "+ echo a\n"), (0, 1, "a\n"), (0, 0)]


def test_a_jump_without_a_loop_is_nothing(plane, start):
    """A shell that is talked to goes on after `break`."""
    given = Input()
    given.feed("break\necho on\n")
    seen, _ = start(["sh"], given)
    plane.wait(1)

    assert seen == [(0, 1, "on\n"), (0, 0)]


def test_input_is_waited_for(plane, start):
    """A command that reads gets what was given when no more will come."""
    given = Input(is_open=True)
    seen, _ = start(["cat"], given)
    plane.wait(1)
    given.feed("in\n")
    given.close()
    plane.wait(1)

    assert seen == [(1, 1, "in\n"), (1, 0)]


def test_a_shell_is_talked_to(plane, start):
    """With nothing to run, a shell carries out line after line, and remembers."""
    given = Input(is_open=True, has_prompt=True)
    seen, _ = start(["sh"], given)
    for line in ("cd /tmp\n", "x=4; echo $x\n", "if\n", "exit $x\n"):
        plane.wait(1)
        given.feed(line)
    plane.wait(1)

    assert "".join(text for _, _, text in seen[:-1]).replace("sh: 1: ", "") != ""
    assert [text for _, stream, text in seen[:-1] if stream == 1] == ["/ # ", "/tmp # ", "4\n", "/tmp # ", "/tmp # "]
    assert seen[-1][1] == 4


def test_a_signal_ends_it(plane, start):
    """A command beside the first process is not protected from SIGTERM."""
    seen, session = start(["sleep", "100"])
    plane.wait(1)
    session.signal("TERM")

    assert seen == [(1, 143)]


def test_what_the_shell_does_not_know_is_the_programs(plane, start):
    """Another command is carried out by the container's program, which says how long it takes."""
    seen, _ = start(["pg_isready"], image="postgres:15")
    plane.wait(1)

    assert seen[-1][1] in (0, 1, 2)
