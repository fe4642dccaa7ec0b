"""Lifecycle hooks: a command, an HTTP request or a sleep. Upstream: pkg/kubelet/lifecycle/handlers.go @v1.36"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubesim.network.messages import HttpReply, HttpRequest, NetError
from kubesim.node.env import quoted
from kubesim.node.http_action import http_headers
from kubesim.node.runtime import ContainerRecord, RuntimeFailure
from kubesim.sim.loop import SECOND

if TYPE_CHECKING:
    from kubesim.api.objects import Object
    from kubesim.node.facts import ContainerFacts
    from kubesim.node.pod_worker import PodWorker
    from kubesim.node.steps import Sequence

# Upstream leaves the HTTP client without a timeout of its own; a minute is longer than any default grace period.
_HTTP_TIMEOUT_NS = 60 * SECOND


def run_hook(worker: PodWorker, facts: ContainerFacts, record: ContainerRecord, hook: Object) -> Sequence:
    """Steps that run a hook; returns None, or the text of its failure."""
    of = f'for Container "{facts.name}" in Pod "{worker.formatted()}" failed - error:'
    if "exec" in hook:
        command = hook["exec"].get("command") or ()
        result: Any = yield lambda on_done: worker.node.runtime.execute(record, command, 0, on_done)
        shown = f"Exec lifecycle hook ([{' '.join(command)}]) {of}"
        if isinstance(result, RuntimeFailure):
            return f'{shown} {result.text}, message: ""'
        if result.exit_code:
            # What follows the code is the standard error, of which a program's result knows nothing apart.
            ended = f"command '{' '.join(command)}' exited with {result.exit_code}"
            return f"{shown} {ended}: , message: {quoted(result.output)}"
        return None
    if "httpGet" in hook:
        return (yield from _run_http(worker, facts, hook["httpGet"], of))
    if "sleep" in hook:
        yield hook["sleep"]["seconds"] * SECOND
        return None
    return "Cannot run handler: invalid handler"


def _run_http(worker: PodWorker, facts: ContainerFacts, action: Object, of: str) -> Sequence:
    port = action["port"]
    if not isinstance(port, int):
        named = {entry.get("name"): entry["containerPort"] for entry in facts.spec.get("ports") or ()}
        port = named.get(port, 80)
    host = action.get("host") or worker.pod_ip
    request = HttpRequest("GET", action.get("path", "/"), None, http_headers(action, "kube-lifecycle/1.36"))
    answer: Any = yield lambda on_done: worker.node.network.probe(host, port, request, _HTTP_TIMEOUT_NS, on_done)
    shown = f"HTTP lifecycle hook ({request.path}) {of}"
    if isinstance(answer, NetError):
        return f"{shown} {answer.text}"
    if not isinstance(answer, HttpReply):
        # As in a probe.
        url = f"http://{host}:{port}{request.path if request.path.startswith('/') else '/' + request.path}"
        return f'{shown} Get "{url}": EOF'
    if not 200 <= answer.status < 400:
        return f"{shown} HTTP lifecycle hook failed with statuscode: {answer.status}"
    return None
