"""Bodies that a real API server reads in an unexpected way. Expected values: specs/requests, Kubernetes v1.36.3."""

import pytest

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
SECRETS = "/api/v1/namespaces/default/secrets"
SERVICES = "/api/v1/namespaces/default/services"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
SETS = "/apis/apps/v1/namespaces/default/statefulsets"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
PODS = "/api/v1/namespaces/default/pods"
NAMELESS = "the name of the object (l based on URL) was undeterminable: name must be provided"
NO_PERCENT = (
    'PodDisruptionBudget.policy "b" is invalid: spec.minAvailable: Invalid value: "half": a valid percent string must '
    "be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)
READ_AS_LEASE = (
    'Lease in version "v1" cannot be handled as a Lease: json: cannot unmarshal number into Go struct field '
)
READ_AS_SCALE = (
    'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal string into Go struct field '
)
UNTYPED = (
    "failed to create typed patch object (/; /v1, Kind=Secret): .metadata.name: expected string, "
    "got &value.valueUnstructured{Value:12}"
)
UNNAMED = (
    "failed to create typed patch object (/p; /v1, Kind=Pod): .spec.containers[name=[1]].name: expected string, "
    "got &value.valueUnstructured{Value:[]interface {}{1}}"
)
UNREAD = (
    "the object provided is unrecognized (must be of type {0}): couldn't get version/kind; json parse error: json: "
    "cannot unmarshal {1} into Go value of type struct "
    '{{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }}'
)
CONVERT = (
    "failed to convert new object (default/{0}; {1}) to proper version: unable to convert unstructured object to {1}: "
)


def _lease(**fields):
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l", "namespace": "default"},
        **fields,
    }


def _secret(data):
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "default"},
        "data": {"a": data},
    }


ROWS = {
    "a PUT that creates takes any version": (
        ("PUT", f"{LEASES}/new", _lease(metadata={"name": "new", "resourceVersion": "1"})),
        (200, None),
    ),
    "a PUT of a status creates a Service": (
        ("PUT", f"{SERVICES}/new/status", {"metadata": {"name": "new"}, "spec": {"ports": [{"port": 80}]}}),
        (200, None),
    ),
    "a create under dryRun takes any version": (
        ("POST", f"{LEASES}?dryRun=All", _lease(metadata={"name": "new", "resourceVersion": "1"})),
        (200, None),
    ),
    "under dryRun a name is taken first": (
        ("POST", f"{LEASES}?dryRun=All", _lease(metadata={"name": "l", "resourceVersion": "1"})),
        (409, 'leases.coordination.k8s.io "l" already exists'),
    ),
    "metadata that is no object": (
        ("PUT", f"{LEASES}/l", _lease(metadata=5)),
        (400, f"{READ_AS_LEASE}Lease.metadata of type v1.ObjectMeta"),
    ),
    "the decoder comes before the name": (
        ("PUT", f"{LEASES}/l", _lease(metadata={"name": 12})),
        (400, f"{READ_AS_LEASE}ObjectMeta.metadata.name of type string"),
    ),
    "the decoder comes before the object": (
        ("PUT", f"{SETS}/none/scale", {"metadata": {"name": "none"}, "spec": {"replicas": "x"}}),
        (400, f"{READ_AS_SCALE}ScaleSpec.spec.replicas of type int32"),
    ),
    "a budget's metadata come last": (
        ("POST", BUDGETS, {"metadata": {"name": "b", "labels": {"a": "b c"}}, "spec": {"minAvailable": "half"}}),
        (422, NO_PERCENT),
    ),
    "a Pod without containers": (
        ("POST", PODS, {"metadata": {"name": "p"}, "spec": {}}),
        (422, 'Pod "p" is invalid: spec.containers: Required value'),
    ),
    "a patch that takes the apiVersion away": (
        ("PATCH", f"{LEASES}/l", {"apiVersion": None}),
        (400, NAMELESS),
    ),
    "a namespace where there is none": (
        ("PATCH", f"{CLASSES}/c", {"metadata": {"namespace": "x"}}),
        (200, None),
    ),
    "an applied time": (
        ("PATCH", f"{LEASES}/l?fieldManager=m&force=true", _lease(spec={"renewTime": "now"}), "apply-patch"),
        (
            500,
            CONVERT.format("l", "coordination.k8s.io/v1, Kind=Lease")
            + 'parsing time "now" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "now" as "2006"',
        ),
    ),
    "applied base64": (
        ("PATCH", f"{SECRETS}/s?fieldManager=m", _secret("not base64!"), "apply-patch"),
        (
            500,
            CONVERT.format("s", "/v1, Kind=Secret") + "error decoding from json: illegal base64 data at input byte 3",
        ),
    ),
    "an applied name that is no text": (
        ("PATCH", f"{SECRETS}/s?fieldManager=m", {**_secret("MQ=="), "metadata": {"name": 12}}, "apply-patch"),
        (500, UNTYPED),
    ),
}


@pytest.mark.parametrize(("asked", "answered"), ROWS.values(), ids=ROWS)
def test_a_body_is_read_as_recorded(world, asked, answered):
    """With the code and the message of a real API server."""
    world.make("Lease", "l", api_version="coordination.k8s.io/v1", spec={"holderIdentity": "one"})
    world.make("StorageClass", "c", namespace="", api_version="storage.k8s.io/v1", provisioner="example.com/none")

    code, answer = world.ask(*asked)

    assert (code, answer["message"] if code != 200 else None) == answered


def test_a_pod_may_be_given_back_without_what_admission_added(world):
    """Priority and tolerations are added again, so that nothing has changed; a negative grace period is 1."""
    pod = world.pod(spec={"terminationGracePeriodSeconds": -1})
    spec = {name: value for name, value in pod["spec"].items() if name not in ("priority", "tolerations")}

    code, answer = world.ask("PUT", f"{PODS}/p", {**pod, "spec": spec})

    assert (code, answer["spec"]["priority"], len(answer["spec"]["tolerations"])) == (200, 0, 2)
    assert answer["spec"]["terminationGracePeriodSeconds"] == 1


def test_true_is_not_one(world):
    """An applied boolean differs from the number that Python takes it for."""
    world.make("PodDisruptionBudget", "b", api_version="policy/v1", spec={"minAvailable": 1})
    body = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b"},
        "spec": {"minAvailable": True},
    }

    code, _ = world.ask("PATCH", f"{BUDGETS}/b?fieldManager=m", body, "apply-patch")

    assert code == 409


REFUSED = {
    "an applied object without metadata": (
        ("PATCH", f"{SECRETS}/s?fieldManager=m", {**_secret("MQ=="), "metadata": None}, "apply-patch"),
        (400, "the name of the object (s based on URL) was undeterminable: name must be provided"),
    ),
    "an applied version that is no text": (
        ("PATCH", f"{SECRETS}/s?fieldManager=m", {**_secret("MQ=="), "apiVersion": [1]}, "apply-patch"),
        (400, "invalid object type: /, Kind=Secret"),
    ),
    "an applied key that is no scalar": (
        (
            "PATCH",
            f"{PODS}/p?fieldManager=m",
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": [1]}]}},
            "apply-patch",
        ),
        (
            500,
            UNNAMED,
        ),
    ),
    "an object that is none": (
        ("PUT", f"{LEASES}/l", ["x"]),
        (400, UNREAD.format("Lease", "array")),
    ),
    "a scale that is none": (
        ("PUT", f"{SETS}/none/scale", 5),
        (400, UNREAD.format("Scale", "number")),
    ),
    "the spec of a scale that is no object": (
        ("PUT", f"{SETS}/none/scale", {"metadata": {"name": "none"}, "spec": 5}),
        (400, READ_AS_SCALE.replace("string", "number") + "Scale.spec of type v1.ScaleSpec"),
    ),
    "the metadata of a scale that are no object": (
        ("PUT", f"{SETS}/none/scale", {"metadata": "none", "spec": {}}),
        (400, f"{READ_AS_SCALE}Scale.metadata of type v1.ObjectMeta"),
    ),
}


@pytest.mark.parametrize(("asked", "answered"), REFUSED.values(), ids=REFUSED)
def test_what_has_the_wrong_type_is_refused_in_words(world, asked, answered):
    """In the decoder's, as far as it comes; nothing is recorded of these bodies."""
    code, answer = world.ask(*asked)

    assert (code, answer["message"]) == answered


def test_a_number_reads_the_same_whatever_was_read_before(world):
    """In Python true is 1, and the texts of keys are remembered."""
    container = {"name": "c", "image": "i", "ports": [{"containerPort": True}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}
    first, _ = world.ask("PATCH", f"{PODS}/p?fieldManager=m", pod, "apply-patch")
    valid = {**container, "ports": [{"containerPort": 1}]}
    pod = {**pod, "spec": {"containers": [valid]}}
    second, answer = world.ask("PATCH", f"{PODS}/p?fieldManager=m", pod, "apply-patch")

    owned = world.server.ledger.shown(answer)["metadata"]["managedFields"][0]["fieldsV1"]
    ports = owned["f:spec"]["f:containers"]['k:{"name":"c"}']["f:ports"]
    assert (first, second, list(ports)) == (500, 200, ['k:{"containerPort":1,"protocol":"TCP"}'])
