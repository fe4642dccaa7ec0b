"""`kubesim get`, `logs`, `exec`, `port-forward` and `crash`: commands to a stack that runs as real processes."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from kubesim.cluster.references import parse_kind, parse_reference
from kubesim.errors import UserError
from kubesim.processes.control import ask_stack
from kubesim.processes.isolation import launcher_command
from kubesim.processes.logs import text_of
from kubesim.processes.proxy import PortProxy
from kubesim.processes.run_folder import find_running

_POLL_S: Final = 0.2


def _ask(arguments: argparse.Namespace, command: str, **words: Any) -> Any:
    folder = find_running(arguments.run)
    return ask_stack(folder, {"command": command, "namespace": arguments.namespace, **words})


def _reference(arguments: argparse.Namespace) -> str:
    reference: str = arguments.reference
    reference = reference if "/" in reference else f"pod/{reference}"
    parse_reference(reference)
    return reference


def get(arguments: argparse.Namespace) -> int:
    """Show objects, with the addresses that they have on this machine."""
    kind, _, name = arguments.kind.partition("/")
    name = arguments.name or name
    plural = parse_kind(kind).plural
    answer = _ask(arguments, "get", kind=plural, name=name)
    objects = answer["objects"]
    if arguments.output == "json":
        shown = objects[0] if name else {"apiVersion": "v1", "kind": "List", "items": objects}
        sys.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
        return 0
    if arguments.output == "yaml":
        import yaml

        shown = objects[0] if name else {"apiVersion": "v1", "kind": "List", "items": objects}
        yaml.dump(shown, sys.stdout, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
        return 0
    from kubesim.cli.printing import print_tables
    from kubesim.cli.printing.table import KINDS

    if not objects:
        sys.stderr.write(f"no {plural} found\n")
    elif plural in KINDS:
        sys.stdout.writelines(f"{line}\n" for line in print_tables({plural: objects}, answer["now_ns"]))
    else:
        sys.stdout.writelines(f"{obj['metadata']['name']}\n" for obj in objects)
    return 0


def logs(arguments: argparse.Namespace) -> int:
    """Print a container's log file, and with --follow what comes to it until the stack has ended."""
    answer = _ask(
        arguments, "logs", reference=_reference(arguments), container=arguments.container, previous=arguments.previous
    )
    path = Path(answer)
    with path.open(encoding="utf-8", errors="replace") as file:
        while True:
            line = file.readline()
            if line:
                sys.stdout.write(line if arguments.timestamps else f"{text_of(line.removesuffix(chr(10)))}\n")
            elif not arguments.follow or not path.exists():
                return 0
            else:
                sys.stdout.flush()
                time.sleep(_POLL_S)  # noqa: TID251 - a file is watched, in real time


def execute(arguments: argparse.Namespace) -> int:
    """Run a command in a container with this terminal; returns its exit code."""
    words = list(arguments.words)
    if not words:
        raise UserError("there is no command to run; write it after --, such as: kubesim exec postgres-0 -- id")
    spec = _ask(arguments, "exec", reference=_reference(arguments), container=arguments.container, words=words)
    for name in ("TERM", "COLUMNS", "LINES"):
        if name in os.environ:
            spec["environment"].setdefault(name, os.environ[name])
    reader, status = os.pipe()
    command, file = launcher_command(spec, status, status)
    code = subprocess.run(command, pass_fds=(file, status), check=False).returncode  # noqa: S603
    os.close(status)
    with open(reader, "rb") as answer:  # noqa: PTH123 - a descriptor
        lines = answer.read().decode(errors="replace").splitlines()
    for line in lines:
        if line.startswith("error "):
            raise UserError(line.removeprefix("error "))
    return code


def crash(arguments: argparse.Namespace) -> int:
    """Kill a container's process; Kubernetes does the rest."""
    name = _ask(arguments, "crash", reference=_reference(arguments), container=arguments.container)
    sys.stdout.write(f"pod/{name} is killed (SIGKILL)\n")
    return 0


def port_forward(arguments: argparse.Namespace) -> int:
    """Forward a port of 127.0.0.1 until Ctrl-C."""
    here, _, there = arguments.ports.rpartition(":")
    if not all(each.isdecimal() and int(each) <= 65_535 for each in (here or there, there)):
        raise UserError(f"{arguments.ports}: must be a port or LOCAL:REMOTE, such as 8080:80")
    place = _ask(arguments, "address", reference=_reference(arguments), port=int(there))
    aio = asyncio.new_event_loop()
    proxy = PortProxy(aio, lambda: [(place[0], place[1])])
    try:
        proxy.open("127.0.0.1", int(here or there))
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise UserError(
            f"127.0.0.1:{here or there} cannot be used: {why}; choose another port: LOCAL:{there}"
        ) from error
    # A KeyboardInterrupt could come in the middle of anything, and be lost there.
    aio.add_signal_handler(signal.SIGINT, aio.stop)
    sys.stdout.write(f"Forwarding from 127.0.0.1:{proxy.port} -> {place[0]}:{place[1]}\n")
    sys.stdout.flush()
    aio.run_forever()
    return 0


COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "get": get,
    "logs": logs,
    "exec": execute,
    "port-forward": port_forward,
    "crash": crash,
}
