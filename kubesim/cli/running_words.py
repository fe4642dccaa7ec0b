"""The words of the commands to a stack that runs as real processes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def add_running(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add get, logs, exec, port-forward and crash."""
    get = _add(commands, "get", "show objects of a stack of real processes")
    get.add_argument("kind", metavar="KIND", help="pods, deploy, … or KIND/NAME")
    get.add_argument("name", nargs="?", default="", metavar="NAME", help="one object instead of all")
    get.add_argument(
        "--output", "-o", choices=("table", "json", "yaml"), default="table", help="how to show them (table)"
    )
    logs = _add(commands, "logs", "show what a container of a running stack has written")
    _add_container(logs)
    logs.add_argument("--follow", "-f", action="store_true", help="go on with what is written from now on")
    logs.add_argument("--previous", "-p", action="store_true", help="of the container before its last restart")
    logs.add_argument("--timestamps", action="store_true", help="with the time of each line")
    execute = _add(commands, "exec", "run a command in a container of a running stack")
    _add_container(execute)
    execute.usage = "kubesim exec [-n NAME] [-c NAME] [--run PID] POD -- COMMAND [ARGUMENT ...]"
    forward = _add(commands, "port-forward", "show a port of a Pod or Service of a running stack at 127.0.0.1")
    forward.add_argument("reference", metavar="POD", help="a Pod, or KIND/NAME of a workload or Service")
    forward.add_argument("ports", metavar="[LOCAL:]REMOTE", help="the port here, and there")
    crash = _add(commands, "crash", "kill the process of a container of a running stack, as kill -9 does")
    _add_container(crash)


def split_command(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The words before and after the first `--` of an exec: what comes after is the container's."""
    if words[:1] == ["exec"] and "--" in words:
        index = words.index("--")
        return words[:index], words[index + 1 :]
    return words, ()


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)
    command.add_argument("--namespace", "-n", default="", metavar="NAME", help="where more than one has such an object")
    command.add_argument("--run", default="", metavar="PID", help="which stack, where several run")
    return command


def _add_container(command: argparse.ArgumentParser) -> None:
    command.add_argument("reference", metavar="POD", help="a Pod, or KIND/NAME of a workload: its first Ready Pod")
    command.add_argument("--container", "-c", default="", metavar="NAME", help="which container (the first)")
