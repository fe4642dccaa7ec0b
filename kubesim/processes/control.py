"""Commands to a running stack from other terminals: a Unix socket in its folder, one JSON object a line each way.

Only the stack's owner can open it. What a command needs beyond the cluster's state (a log file, a process to join) is
on the same machine, so it is told where that is and goes there itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from typing import Any, Final, final

from kubesim.cluster.faults import EXIT_SIGKILL
from kubesim.errors import ApiError, UserError
from kubesim.processes.command import exec_spec
from kubesim.processes.run_folder import RunFolder
from kubesim.processes.stack import ProcessStack

_LINE_MAX: Final = 64 * 1024 * 1024
Words = dict[str, Any]


@final
class ControlServer:
    """Answers commands while the stack runs."""

    def __init__(self, stack: ProcessStack) -> None:
        self._stack = stack
        self._commands: dict[str, Callable[[Words], Any]] = {
            "get": self._get,
            "crash": self._crash,
            "logs": self._logs,
            "exec": self._exec,
            "address": self._address,
        }
        path = stack.folder.control
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        self._task = stack.pacer.aio.create_task(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_unix_server(self._talk, sock=listener, limit=_LINE_MAX)
        async with server:
            await server.serve_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                answers: list[Any] = []
                words = json.loads(line)
                self._stack.pacer.hand_in(self._answer, words if isinstance(words, dict) else {}, answers)
                writer.write(json.dumps(answers[0]).encode() + b"\n")
                await writer.drain()
        writer.close()

    def _answer(self, words: Words, answers: list[Any]) -> None:
        command = self._commands.get(words.get("command", ""))
        if command is None:
            answers.append({"error": f"there is no command {words.get('command')!r}"})
            return
        try:
            answers.append({"result": command(words)})
        except ApiError as error:
            answers.append({"error": error.message})
        except UserError as error:
            answers.append({"error": str(error)})
        except (KeyError, TypeError) as error:
            answers.append({"error": f"the command {words['command']} lacks something: {error}"})

    def _get(self, words: Words) -> Any:
        cluster, namespace = self._stack.cluster, words["namespace"]
        if words["name"]:
            found = [cluster.get(f"{words['kind']}/{words['name']}", namespace)]
        else:
            found = cluster.list(words["kind"], namespace)
        return {"now_ns": cluster.now_ns, "objects": json.loads(self._stack.addresses.localise(json.dumps(found)))}

    def _crash(self, words: Words) -> str:
        cluster = self._stack.cluster
        pod = cluster.ready_pod_of(words["reference"], words["namespace"])
        cluster.faults.crash(pod, words["container"], EXIT_SIGKILL)
        return str(pod["metadata"]["name"])

    def _logs(self, words: Words) -> str:
        where = (words["reference"], words["container"], words["namespace"])
        return str(self._stack.log_of(*where, is_previous=bool(words["previous"])))

    def _exec(self, words: Words) -> Any:
        container = self._stack.container_of(words["reference"], words["container"], words["namespace"])
        if container.command is None or not container.pid:
            raise UserError(f"{words['reference']}: container {container.record.name} does not run now")
        return exec_spec(self._stack.machine, container.command, container.pid, words["words"])

    def _address(self, words: Words) -> Any:
        """Address and port that a port of a Pod, a workload's Pod or a Service's endpoint has."""
        cluster, namespace = self._stack.cluster, words["namespace"]
        reference, port = words["reference"], words["port"]
        obj = cluster.get(reference, namespace)
        if obj["kind"] == "Service":
            metadata = obj["metadata"]
            ports = [each["port"] for each in obj["spec"].get("ports") or ()]
            if port not in ports:
                raise UserError(f"{reference} has no port {port}; it has {', '.join(map(str, ports))}")
            place = self._stack.proxies.address(metadata["namespace"], metadata["name"], port)
            if place is None:
                raise UserError(f"{reference} has no address of its own; name a Pod")
            return place
        pod = cluster.ready_pod_of(reference, namespace)
        ip = (pod.get("status") or {}).get("podIP")
        if not ip:
            raise UserError(f"pod/{pod['metadata']['name']} has no address yet")
        return self._stack.addresses.local(ip), port


def ask_stack(folder: RunFolder, words: Words) -> Any:
    """Send one command to a running stack; returns its result.

    Raises:
        UserError: it does not answer, or cannot do it.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(folder.control))
            connection.sendall(json.dumps(words).encode() + b"\n")
            with connection.makefile("rb") as file:
                line = file.readline()
        except OSError as error:
            raise UserError(
                f"the stack at {folder.path} does not answer ({error.strerror}); is it still there?"
            ) from error
    if not line:
        raise UserError(f"the stack at {folder.path} has ended")
    answer = json.loads(line)
    if "error" in answer:
        raise UserError(answer["error"])
    return answer["result"]
