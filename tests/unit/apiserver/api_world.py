"""An API server with what a fresh cluster holds, asked in the words of HTTP."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from kubesim.api import kinds
from kubesim.api.requests import Options, Request, create
from kubesim.apiserver.pod_admission import TryAgain
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.cluster.bootstrap import fresh_objects
from kubesim.errors import ApiError
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import Loop
from kubesim.store.log import Store

FACTS = Path(__file__).with_name("facts")
USER = Identity("kubernetes-admin")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}
_OF_COLLECTION = {"get": "list", "delete": "deletecollection"}
_PATCHES = {
    "merge-patch": "merge",
    "strategic-merge-patch": "strategic",
    "json-patch": "json",
    "apply-patch": "apply",
}


def facts(name):
    """The rows of a file of recorded facts."""
    return [json.loads(line) for line in (FACTS / name).read_text().splitlines()]


class ApiWorld:
    """One server; `ask` answers a Status with a code, whatever happens."""

    def __init__(self, *namespaces):
        self.loop = Loop()
        self.store = Store()
        self.server = ApiServer(self.loop, self.store, Chooser(1).stream("apiserver"))
        for kind, obj in fresh_objects():
            self.do(create(kind, obj))
        self.namespace("default", is_there=True)
        for name in namespaces:
            self.namespace(name)

    def namespace(self, name, *, is_there=False):
        """A namespace with the account that Pods need."""
        if not is_there:
            self.make("Namespace", name, namespace="")
        self.make("ServiceAccount", "default", namespace=name)

    def make(self, kind, name, namespace="default", api_version="v1", **parts):
        """Create an object; returns what is stored."""
        row = kinds.find_kind(api_version, kind)
        metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **parts.pop("metadata", {})}
        return self.do(create(row, {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}))

    def pod(self, name="p", node="", **parts):
        """A Pod of one container, bound if `node` is given."""
        spec = {"containers": [{"name": "c", "image": "i"}], **parts.pop("spec", {})}
        if node:
            spec["nodeName"] = node
        return self.make("Pod", name, spec=spec, **parts)

    def do(self, request, identity=USER):
        """The server's answer, held requests asked again."""
        for attempt in range(20):
            try:
                return self.server.handle(request, identity, attempt)
            except TryAgain:
                continue
        raise AssertionError("held for ever")

    def ask(self, method, path, body=None, patch="merge-patch"):
        """The code and the answer; successes have code 200, whatever HTTP would say."""
        try:
            return 200, self.do(http_request(method, path, body, patch))
        except ApiError as error:
            return error.code, error.status()


def http_request(method, path, body=None, patch="merge-patch", duplicates=()):
    """The request that an HTTP request is."""
    url = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    parts = url.path.strip("/").split("/")
    group, version, *rest = ("", *parts[1:]) if parts[0] == "api" else parts[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    kind = kinds.find_resource(group, version, rest[0])
    name, subresource = rest[1] if len(rest) > 1 else "", "/".join(rest[2:])
    verb = _VERBS[method]
    if not name:
        verb = _OF_COLLECTION.get(verb, verb)
    options = _options(query, patch)
    if method == "DELETE" and body is not None:
        preconditions = body.get("preconditions") or {}
        options |= {
            "precondition_uid": preconditions.get("uid"),
            "precondition_resource_version": preconditions.get("resourceVersion"),
            "propagation": body.get("propagationPolicy"),
            "grace_period_s": body.get("gracePeriodSeconds"),
        }
    if verb == "create" and not name:
        name = (body.get("metadata") or {}).get("name", "")
    return Request(verb, kind, namespace, name, subresource, body, Options(**options), duplicates)


def _options(query, patch):
    names = {
        "fieldManager": "field_manager",
        "fieldValidation": "field_validation",
        "labelSelector": "label_selector",
        "fieldSelector": "field_selector",
        "continue": "continue_token",
        "resourceVersion": "resource_version",
        "resourceVersionMatch": "resource_version_match",
        "propagationPolicy": "propagation",
    }
    options = {names[name]: value for name, value in query.items() if name in names}
    for name, option in (("limit", "limit"), ("gracePeriodSeconds", "grace_period_s")):
        if name in query:
            options[option] = int(query[name])
    options["dry_run"] = query.get("dryRun") == "All"
    options["force"] = query.get("force") == "true"
    options["patch_type"] = _PATCHES[patch]
    return options


def without_empty(value):
    """The value without nulls, empty texts and empty containers, which JSON may show or leave out."""
    if isinstance(value, dict):
        kept = {name: without_empty(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in (None, "", {}, [])}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


def token(revision, start):
    """A continue token."""
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def without_revisions(text):
    """A message without the revisions that two servers cannot have in common."""
    return re.sub(r"(current: |in record \()\d+", r"\1N", text)
