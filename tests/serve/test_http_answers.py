"""Requests over HTTP and what a real 1.36 API server answered to them: codes, reasons, messages, forms."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from http_asking import FACTS

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
XML = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf"
FORMATS = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
NOWHERE = "the server could not find the requested resource"
NO_METHOD = "the server does not allow this method on the requested resource"
STRUCT = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
NO_VERSION = (
    "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: "
)

# method, path, body, headers; code, reason, message. Messages are those of the real server.
REFUSED = {
    "an unknown resource": ("GET", "/api/v1/namespaces/default/podz", None, {}, 404, "NotFound", NOWHERE),
    "an unknown version": ("GET", "/apis/apps/v9/deployments", None, {}, 404, "NotFound", NOWHERE),
    "a missing object": ("GET", f"{MAPS}/nope", None, {}, 404, "NotFound", 'configmaps "nope" not found'),
    "a status that the kind has not": ("GET", f"{MAPS}/a/status", None, {}, 404, "NotFound", NOWHERE),
    "POST to a name": ("POST", f"{MAPS}/a", {}, {}, 405, "MethodNotAllowed", NO_METHOD),
    "PUT to a collection": ("PUT", MAPS, {}, {}, 405, "MethodNotAllowed", NO_METHOD),
    "a method that there is not": ("TRACE", MAPS, None, {}, 405, "MethodNotAllowed", NO_METHOD),
    "a body that is no JSON": (
        "POST",
        MAPS,
        b"{nope",
        {},
        400,
        "BadRequest",
        NO_VERSION + "invalid character 'n' looking for beginning of object key string ({nope)",
    ),
    "an empty body": ("POST", MAPS, b"", {}, 400, "BadRequest", NO_VERSION + "unexpected end of JSON input (<empty>)"),
    "a body that is a list": (
        "POST",
        MAPS,
        [],
        {},
        400,
        "BadRequest",
        NO_VERSION + f"json: cannot unmarshal array into Go value of type {STRUCT}",
    ),
    "a body of an unknown type": (
        "POST",
        MAPS,
        {},
        {"Content_Type": "text/plain"},
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {FORMATS}",
    ),
    "a patch of no type": ("PATCH", f"{MAPS}/a", {}, {}, 415, "UnsupportedMediaType", "415: Unsupported Media Type"),
    "an answer in XML": ("GET", f"{MAPS}/a", None, {"Accept": "application/xml"}, 406, "NotAcceptable", XML),
    "a table with what there is not": (
        "GET",
        f"{MAPS}?includeObject=All",
        None,
        {"Accept": TABLE},
        400,
        "BadRequest",
        (
            'Unable to convert to Table as requested: includeObject: Invalid value: "All": '
            "must be 'Metadata', 'Object', 'None', or empty"
        ),
    ),
    "a question as a table": (
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {},
        {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"},
        406,
        "NotAcceptable",
        XML,
    ),
    "a limit that is no number": (
        "GET",
        f"{MAPS}?limit=x",
        None,
        {},
        400,
        "BadRequest",
        'strconv.ParseInt: parsing "x": invalid syntax',
    ),
    "a watch from a revision that is none": (
        "GET",
        f"{MAPS}?watch=1&resourceVersion=abc",
        None,
        {},
        500,
        "",
        'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax',
    ),
    "initial events without a match": (
        "GET",
        f"{MAPS}?watch=1&sendInitialEvents=true",
        None,
        {},
        422,
        "Invalid",
        (
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: '
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        ),
    ),
    "fieldValidation of no kind": (
        "POST",
        f"{MAPS}?fieldValidation=Bogus",
        {"metadata": {"name": "x"}},
        {},
        422,
        "Invalid",
        (
            'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Bogus": '
            'supported values: "", "Ignore", "Strict", "Warn"'
        ),
    ),
    "metadata that is a list": (
        "POST",
        MAPS,
        {"metadata": []},
        {},
        400,
        "BadRequest",
        (
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
            "json: cannot unmarshal array into Go struct field ConfigMap.metadata of type v1.ObjectMeta"
        ),
    ),
    "a Pod without containers": (
        "POST",
        "/api/v1/namespaces/default/pods",
        {"metadata": {"name": "x"}, "spec": {"volumes": [{}]}},
        {},
        422,
        "Invalid",
        ('Pod "x" is invalid: [spec.volumes[0].name: Required value, spec.containers: Required value]'),
    ),
    "a custom resource definition": (
        "POST",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        {},
        {},
        501,
        "NotImplemented",
        "customresourcedefinitions.apiextensions.k8s.io: kubesim serves no custom resources",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refusals_are_a_status(ask, case):
    """Whatever is refused is refused with the real server's code, reason and words."""
    method, path, body, headers, code, reason, message = case

    answer = ask(method, path, body, **headers)

    status = answer.json
    assert (answer.code, status["kind"], status["status"], status["code"]) == (code, "Status", "Failure", code)
    assert (status.get("reason", ""), status["message"]) == (reason, message)


@pytest.mark.parametrize("path", ["/nope", "/apis/nope.example.com/v1/things", "/readyz/nope"])
def test_a_path_of_nobody_is_a_plain_404(ask, path):
    """Where no part of the API has a path, the answer is text, as upstream's."""
    answer = ask("GET", path)

    assert (answer.code, answer.text, answer.headers["Content-Type"]) == (
        404,
        b"404 page not found\n",
        "text/plain; charset=utf-8",
    )


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/readyz/ping"])
def test_the_server_is_healthy(ask, path):
    """Health paths answer ok in plain text."""
    assert ask("GET", path).text == b"ok"


def test_a_body_that_is_too_long_is_refused(ask):
    """More than three megabytes are a 413, as upstream's limit."""
    answer = ask("POST", MAPS, b" " * (3 * 1024 * 1024 + 1))

    assert (answer.code, answer.json["reason"]) == (413, "RequestEntityTooLarge")
    assert answer.json["message"] == "Request entity too large: limit is 3145728"


def test_a_name_that_is_no_loopback_is_refused(ask):
    """A browser's page cannot reach the server without TLS under a name of its own."""
    assert ask("GET", "/api/v1/nodes", Host="evil.example.com").code == 403


def test_an_object_lives_through_all_verbs(ask):
    """Create, get, update, patch and delete answer with 201 and 200, and the object goes with them."""
    made = ask("POST", MAPS, {"metadata": {"name": "b"}, "data": {"k": "1"}})
    changed = ask("PUT", f"{MAPS}/b", {**made.json, "data": {"k": "2"}})
    patched = ask("PATCH", f"{MAPS}/b", {"data": {"l": "3"}}, Content_Type="application/merge-patch+json")
    got = ask("GET", f"{MAPS}/b")
    gone = ask("DELETE", f"{MAPS}/b")

    assert [answer.code for answer in (made, changed, patched, got, gone)] == [201, 200, 200, 200, 200]
    assert (got.json["kind"], got.json["apiVersion"], got.json["data"]) == ("ConfigMap", "v1", {"k": "2", "l": "3"})
    assert gone.json["status"] == "Success"
    assert ask("GET", f"{MAPS}/b").code == 404


@pytest.mark.usefixtures("config_map")
def test_a_list_has_items_without_kind(ask):
    """Items of a list do not repeat their kind, as upstream's; an empty list has items all the same."""
    listed = ask("GET", f"{MAPS}?fieldSelector=metadata.name%3Da").json
    empty = ask("GET", "/api/v1/namespaces/nowhere/pods").json

    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert [sorted(item) for item in listed["items"]] == [["data", "metadata"]]
    assert (empty["kind"], empty["items"]) == ("PodList", [])


@pytest.mark.usefixtures("config_map")
def test_a_list_is_of_this_instant(ask):
    """Lists one after the other show every write between them, in each namespace and selection."""
    paths = [MAPS, f"{MAPS}?labelSelector=x%3Dy", "/api/v1/configmaps"]

    def counts():
        return [len(ask("GET", path).json["items"]) for path in paths]

    before = counts()
    ask("POST", MAPS, {"metadata": {"name": "listed", "labels": {"x": "y"}}})
    with_it = [counts(), counts()]
    ask("DELETE", f"{MAPS}/listed")

    assert with_it == [[count + 1 for count in before]] * 2
    assert counts() == before


def test_lists_come_in_pages(ask):
    """With a limit a list has a token for what follows."""
    first = ask("GET", "/api/v1/configmaps?limit=1").json
    second = ask("GET", f"/api/v1/configmaps?limit=1&continue={first['metadata']['continue']}").json

    assert len(first["items"]) == len(second["items"]) == 1
    assert first["items"] != second["items"]
    assert first["metadata"]["remainingItemCount"] == second["metadata"].get("remainingItemCount", 0) + 1


@pytest.mark.usefixtures("config_map")
def test_a_client_that_prefers_protobuf_gets_json(ask):
    """Go's clients ask for protobuf first and take JSON."""
    answer = ask("GET", f"{MAPS}/a", Accept="application/vnd.kubernetes.protobuf,application/json")

    assert (answer.code, answer.headers["Content-Type"], answer.json["data"]) == (200, "application/json", {"k": "v"})


BODIES = json.loads((FACTS / "kubectl_bodies.json").read_text())


@pytest.mark.parametrize("name", sorted(BODIES))
def test_what_kubectl_sends_as_protobuf_is_read(name):
    """kubectl 1.32's protobuf of an object means what kubectl prints as that object's JSON."""
    from kubesim.http.bodies import read_object

    row = BODIES[name]

    got = read_object(base64.b64decode(row["body"]), row["contentType"], "")

    printed = {**row["json"], "status": {}}  # kubectl prints zeros that it does not send
    assert _without_empty(got) == _without_empty(printed)


def _without_empty(value):
    if isinstance(value, dict):
        kept = {name: _without_empty(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each not in (None, {})}
    return [_without_empty(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("body", [b"", b"k8s", b"k8s\x00\xff", b"k8s\x00\x0a\xff\xff\xff\xff\x0f", b"k8s\x00\x0b"])
def test_broken_protobuf_is_a_bad_request(ask, body):
    """Bytes that are no protobuf are refused, not a failure."""
    assert ask("POST", MAPS, body, Content_Type="application/vnd.kubernetes.protobuf").code == 400


def test_yaml_is_read_and_written(ask):
    """Bodies and answers may be YAML."""
    made = ask("POST", MAPS, b"metadata:\n  name: yaml\ndata:\n  k: '1'\n", Content_Type="application/yaml")
    got = ask("GET", f"{MAPS}/yaml", Accept="application/yaml")
    ask("DELETE", f"{MAPS}/yaml")

    assert made.code == 201
    assert got.headers["Content-Type"] == "application/yaml"
    assert got.text.startswith(b'apiVersion: v1\ndata:\n  k: "1"\nkind: ConfigMap\nmetadata:\n')


def test_metadata_alone(ask, config_map):
    """PartialObjectMetadata of one object and of a list."""
    accept = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"

    one = ask("GET", f"{MAPS}/a", Accept=accept.format("")).json
    many = ask("GET", f"{MAPS}?fieldSelector=metadata.name%3Da", Accept=accept.format("List")).json

    assert one == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": config_map["metadata"]}
    assert (many["kind"], many["items"]) == ("PartialObjectMetadataList", [one])


def test_a_table_of_one_object(ask, config_map):
    """A Table has the server's columns, a row, and the object's metadata with it."""
    table = ask("GET", f"{MAPS}/a", Accept=TABLE).json

    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert [row["cells"][:2] for row in table["rows"]] == [["a", 1]]
    assert table["rows"][0]["object"]["metadata"] == config_map["metadata"]


@pytest.mark.parametrize(
    "wanted, shown",
    [("", ("PartialObjectMetadata", None)), ("Object", ("ConfigMap", {"k": "v"})), ("None", (None, None))],
)
@pytest.mark.parametrize("place", ["/a?", "?{}&", "?{}&watch=1&timeoutSeconds=1&"])
def test_a_table_has_what_is_wanted_of_its_objects(ask, config_map, place, wanted, shown):
    """The metadata, all or nothing; clients sort by what a row's object has."""
    path = MAPS + place.format(f"fieldSelector=metadata.name%3D{config_map['metadata']['name']}")
    table = ask("GET", f"{path}includeObject={wanted}", Accept=TABLE).json
    (row,) = table.get("object", table)["rows"]
    found = row["object"] or {}

    assert (found.get("kind"), found.get("data")) == shown


def test_large_answers_are_packed(ask):
    """An answer of more than 128 KiB is gzipped for whoever takes that."""
    ask("POST", MAPS, {"metadata": {"name": "large"}, "data": {"k": "x" * 200_000}})
    packed = ask("GET", f"{MAPS}/large", Accept_Encoding="gzip")
    plain = ask("GET", f"{MAPS}/large")
    ask("DELETE", f"{MAPS}/large")

    assert (packed.headers["Content-Encoding"], plain.headers.get("Content-Encoding")) == ("gzip", None)
    assert gzip.decompress(packed.text) == plain.text


def test_a_review_is_answered_and_not_stored(ask):
    """Whoever asks whether he may, may, and is told why."""
    body = {"spec": {"resourceAttributes": {"verb": "create", "resource": "pods"}}}

    review = ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)

    assert (review.code, review.json["status"]["allowed"]) == (201, True)
    assert "no authorization" in review.json["status"]["reason"]


def test_unknown_and_repeated_fields_are_warned_of(ask):
    """What the decoder drops is said in warnings, one each; under Strict it is an error."""
    body = b'{"metadata": {"name": "w"}, "data": {"a": "1", "a": "2"}, "bogus": {"a": 1}}'

    made = ask("POST", MAPS, body)
    strict = ask("POST", f"{MAPS}?fieldValidation=Strict", body)
    ask("DELETE", f"{MAPS}/w")

    assert made.code == 201
    assert made.warnings == ['299 - "unknown field \\"bogus\\""', '299 - "duplicate field \\"data.a\\""']
    assert made.json["data"] == {"a": "2"}
    assert strict.json["message"].endswith('strict decoding error: unknown field "bogus", duplicate field "data.a"')


def test_what_is_read_has_its_owners(ask, config_map):
    """Managed fields name the program that wrote, in objects, lists, tables and watches alike."""
    owner = config_map["metadata"]["managedFields"]
    listed = ask("GET", f"{MAPS}?fieldSelector=metadata.name%3Da").json
    table = ask("GET", f"{MAPS}/a", Accept=TABLE).json
    events = ask.watch(f"{MAPS}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Da")

    assert [(entry["manager"], entry["operation"]) for entry in owner] == [("unknown", "Update")]
    found = [ask("GET", f"{MAPS}/a").json, *listed["items"], table["rows"][0]["object"], events[0]["object"]]
    assert [each["metadata"]["managedFields"] for each in found] == [owner] * 4


def test_a_program_owns_what_it_writes(ask):
    """A writer without a name of its own is called after its program, in 128 bytes that can be printed."""
    names = []
    for agent in ("kubectl/v1.36.0 (linux)", "a\u200bb", "é" * 100):
        header = agent.encode().decode("latin-1")
        made = ask("POST", f"{MAPS}?dryRun=All", {"metadata": {"name": "named"}, "data": {"k": "v"}}, User_Agent=header)
        names += [entry["manager"] for entry in made.json["metadata"]["managedFields"]]

    assert names == ["kubectl", "ab", "é" * 64]


def test_apply_makes_and_changes(ask):
    """An apply patch makes what is not there with a 201, and changes it with a 200."""
    apply = {"Content_Type": "application/apply-patch+yaml"}
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: p}\ndata: {k: '1'}\n"

    codes = [ask("PATCH", f"{MAPS}/p?fieldManager=me", body, **apply).code for _ in range(2)]
    nameless = ask("PATCH", f"{MAPS}/p", body, **apply)
    ask("DELETE", f"{MAPS}/p")

    assert codes == [201, 200]
    assert nameless.json["message"].endswith("fieldManager: Required value: is required for apply patch")


def test_what_nothing_acts_on_is_said(ask):
    """A create of a kind that is only stored comes with a warning."""
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}

    answer = ask("POST", path, {"metadata": {"name": "h"}, "spec": {"scaleTargetRef": target, "maxReplicas": 2}})

    assert answer.code == 201
    assert answer.headers["Warning"] == '299 - "kubesim stores horizontalpodautoscalers and does nothing with them"'
