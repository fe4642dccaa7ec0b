"""What creates, updates, patches and status writes may carry, and what they answer.

Expected values: i-api-errors and i3-answers of Kubernetes 1.36.3; apiserver/pkg/registry/rest/{create,update}.go,
generic/registry/store.go and pkg/registry/*/strategy.go @v1.36 where nothing was recorded.
"""

import pytest

from kubesim.api.kinds import CONFIG_MAP
from kubesim.api.requests import NO_OPTIONS

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
BINDING = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
SPEC = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}


def _deployment(world, **metadata):
    return world.make("Deployment", "d", api_version="apps/v1", spec=SPEC, metadata=metadata)


class TestCreate:
    """POST."""

    def test_what_is_the_server_s_own_is_taken_from_nobody(self, world):
        """uid, generation and the marks of deletion are wiped; a resourceVersion of 0 counts as none."""
        metadata = {
            "name": "d",
            "uid": "x",
            "generation": 7,
            "resourceVersion": "0",
            "creationTimestamp": "2020-01-01T00:00:00Z",
            "deletionTimestamp": "2020-01-01T00:00:00Z",
            "deletionGracePeriodSeconds": 3,
        }
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": SPEC,
            "status": {"replicas": 9},
        }
        code, answer = world.ask("POST", DEPLOYMENTS, body)
        found = answer["metadata"]

        assert code == 200, answer
        assert found["uid"] != "x"
        assert found["generation"] == 1
        assert found["creationTimestamp"] == "2026-01-01T00:00:00Z"
        assert "deletionTimestamp" not in found
        assert "deletionGracePeriodSeconds" not in found
        assert answer["status"] == {}

    def test_a_taken_name_that_was_generated_says_so(self, world):
        """Also where the client gives both name and prefix."""
        body = {"metadata": {"name": "web-a", "generateName": "web-"}}
        world.ask("POST", MAPS, body)
        code, answer = world.ask("POST", MAPS, body)

        assert (code, answer["reason"], answer["details"]["retryAfterSeconds"]) == (409, "AlreadyExists", 1)
        assert answer["message"] == (
            'configmaps "web-a" already exists, the server was not able to generate a unique name for the object'
        )

    def test_a_long_prefix_is_cut_so_that_the_suffix_fits(self, world):
        """58 letters are left of it, then come five."""
        _, answer = world.ask("POST", MAPS, {"metadata": {"generateName": "x" * 70}})

        assert answer["metadata"]["name"][:58] == "x" * 58
        assert len(answer["metadata"]["name"]) == 63

    @pytest.mark.parametrize(
        "names, called",
        [({"name": "p"}, "p"), ({"generateName": "p-"}, "p-"), ({}, "Unknown")],
        ids=["a name", "a prefix", "neither"],
    )
    def test_admission_calls_a_pod_by_what_the_client_gave(self, world, names, called):
        """Names are generated after admission."""
        spec = {**TEMPLATE["spec"], "priorityClassName": "none"}
        code, answer = world.ask("POST", PODS, {"metadata": names, "spec": spec})

        assert code == 403
        assert answer["message"] == f'pods "{called}" is forbidden: no PriorityClass with name none was found'

    def test_a_namespace_on_an_object_of_the_cluster_is_dropped(self, world):
        """Instead of refused."""
        code, answer = world.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "n", "namespace": "default"}})

        assert code == 200
        assert "namespace" not in answer["metadata"]

    def test_a_dry_run_creates_nothing(self, world):
        """The answer is the object, with a uid but without a revision."""
        revision = world.store.revision
        code, answer = world.ask("POST", MAPS + "?dryRun=All", {"metadata": {"name": "a"}})

        assert code == 200
        assert "resourceVersion" not in answer["metadata"]
        assert world.store.revision == revision


class TestBodies:
    """What a body says that it is, against what the URL says."""

    @pytest.mark.parametrize(
        "body, message",
        [
            (
                {"apiVersion": "v1", "kind": "Foo"},
                'Foo in version "v1" cannot be handled as a Deployment: no kind "Foo" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"',
            ),
            (
                {"apiVersion": "apps/v1", "kind": "StatefulSet"},
                'StatefulSet in version "v1" cannot be handled as a Deployment: converting (v1.StatefulSet) to (apps.Deployment): unknown conversion',
            ),
            (
                {"apiVersion": "apps/v9", "kind": "Deployment"},
                'Deployment in version "v9" cannot be handled as a Deployment: no kind "Deployment" is registered for version "apps/v9" in scheme "pkg/runtime/scheme.go:111"',
            ),
        ],
        ids=["an unknown kind", "another kind", "an unknown version"],
    )
    def test_another_kind_than_the_url_s_is_refused(self, world, body, message):
        """400 in the decoder's words."""
        code, answer = world.ask("POST", DEPLOYMENTS, {**body, "metadata": {"name": "d"}, "spec": SPEC})

        assert (code, answer["reason"], answer["message"]) == (400, "BadRequest", message)

    @pytest.mark.parametrize("said", [{}, {"kind": "Deployment"}, {"apiVersion": "apps/v1"}])
    def test_what_the_body_leaves_out_is_taken_from_the_url(self, world, said):
        """Kind, version or both."""
        code, answer = world.ask("POST", DEPLOYMENTS, {**said, "metadata": {"name": "d"}, "spec": SPEC})

        assert (code, answer["kind"], answer["apiVersion"]) == (200, "Deployment", "apps/v1")

    def test_a_body_without_any_name_cannot_be_put(self, world):
        """The URL's name does not help."""
        code, answer = world.ask("PUT", MAPS + "/a", {"metadata": {}})

        assert code == 400
        assert answer["message"] == (
            "the name of the object (a based on URL) was undeterminable: name must be provided"
        )

    def test_a_core_event_is_not_taken_at_the_other_group_s_url(self, world):
        """Both are one type inside, so it is the version that is complained about."""
        path = "/apis/events.k8s.io/v1/namespaces/default/events"
        code, answer = world.ask("POST", path, {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}})

        assert code == 400
        assert answer["message"] == (
            "the API version in the data (v1) does not match the expected API version (events.k8s.io/v1)"
        )


class TestUpdate:
    """PUT and PATCH of the object itself."""

    def test_status_and_what_is_the_server_s_own_stay(self, world):
        """Whatever the client sends in their place."""
        before = _deployment(world)
        metadata = {"name": "d", "creationTimestamp": "2020-01-01T00:00:00Z", "generation": 9}
        code, answer = world.ask(
            "PUT", DEPLOYMENTS + "/d", {"metadata": metadata, "spec": SPEC, "status": {"replicas": 9}}
        )

        assert (code, answer) == (200, before)

    def test_generate_name_is_the_client_s_to_drop(self, world):
        """Upstream carries it over as little as labels."""
        world.make("ConfigMap", "a", metadata={"generateName": "a-"})
        _, answer = world.ask("PUT", MAPS + "/a", {"metadata": {"name": "a"}})

        assert "generateName" not in answer["metadata"]

    def test_a_deletion_cannot_be_asked_for_by_an_update(self, world):
        """deletionTimestamp is immutable."""
        world.make("ConfigMap", "a")
        metadata = {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}
        code, answer = world.ask("PUT", MAPS + "/a", {"metadata": metadata})

        assert code == 422
        assert "metadata.deletionTimestamp: Invalid value" in answer["message"]

    @pytest.mark.parametrize(
        "path, kind, rest, resource",
        [
            ("/apis/coordination.k8s.io/v1/namespaces/default/leases", "Lease", {}, "leases.coordination.k8s.io"),
            (
                "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
                "PodDisruptionBudget",
                {"spec": {"minAvailable": 1}},
                "poddisruptionbudgets.policy",
            ),
        ],
        ids=["Lease", "PodDisruptionBudget"],
    )
    def test_some_kinds_must_say_what_they_update(self, world, path, kind, rest, resource):
        """A PUT without a resourceVersion is refused, by the resource's name."""
        world.ask("POST", path, {"metadata": {"name": "x"}, **rest})
        code, answer = world.ask("PUT", path + "/x", {"metadata": {"name": "x"}, **rest})

        assert code == 422, kind
        assert answer["message"] == (
            f'{resource} "x" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update'
        )

    @pytest.mark.parametrize(
        "path, body",
        [
            ("/api/v1/namespaces/default/endpoints", {}),
            ("/apis/coordination.k8s.io/v1/namespaces/default/leases", {}),
            ("/api/v1/namespaces/default/events", {"involvedObject": {"namespace": "default"}}),
            ("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", {"rules": []}),
            ("/api/v1/namespaces/default/services", {"spec": {"ports": [{"port": 80}]}}),
        ],
        ids=lambda value: value.rpartition("/")[2] if isinstance(value, str) else "",
    )
    def test_some_kinds_are_created_by_a_put(self, world, path, body):
        """AllowCreateOnUpdate."""
        code, answer = world.ask("PUT", path + "/x", {"metadata": {"name": "x"}, **body})

        assert code == 200, answer
        assert world.ask("GET", path + "/x")[0] == 200

    def test_a_change_makes_one_event_and_none_changes_nothing(self, world):
        """A patch to what is already there is no write."""
        world.make("ConfigMap", "a", data={"k": "v"})
        watch = world.server.watch(CONFIG_MAP, world.store.revision, NO_OPTIONS, lambda _: None)
        world.ask("PATCH", MAPS + "/a", {"data": {"k": "v"}})
        world.ask("PATCH", MAPS + "/a", {"data": {"k": "w"}})

        assert [kind for kind, _ in watch.drain()] == ["MODIFIED"]

    def test_annotations_move_a_deployment_s_generation(self, world):
        """They are copied to its ReplicaSets; labels are not."""
        _deployment(world)
        _, labelled = world.ask("PATCH", DEPLOYMENTS + "/d", {"metadata": {"labels": {"z": "1"}}})
        _, annotated = world.ask("PATCH", DEPLOYMENTS + "/d", {"metadata": {"annotations": {"z": "1"}}})

        assert [obj["metadata"]["generation"] for obj in (labelled, annotated)] == [1, 2]

    @pytest.mark.parametrize(
        "change, why",
        [
            (
                {"apiVersion": "v2"},
                'no kind "ConfigMap" is registered for version "v2" in scheme "pkg/runtime/scheme.go:111"',
            ),
            ({"kind": "Pod"}, "converting (v1.Pod) to (core.ConfigMap): unknown conversion"),
            ({"data": {"k": 5}}, "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        ],
        ids=["another version", "another kind", "another type of value"],
    )
    def test_a_patch_that_makes_something_else_of_the_object_is_refused(self, world, change, why):
        """With the patched object in the words of the refusal."""
        world.make("ConfigMap", "a")
        code, answer = world.ask("PATCH", MAPS + "/a", change)

        assert (code, answer["reason"]) == (422, "Invalid")
        assert answer["message"].startswith(' "" is invalid: patch: Invalid value: "{\\"apiVersion\\":')
        assert answer["message"].endswith(why)

    def test_a_strategic_patch_cannot_change_the_kind(self, world):
        """It is applied to the typed object, which has none to change."""
        before = world.make("ConfigMap", "a")
        code, answer = world.ask("PATCH", MAPS + "/a", {"kind": "Secret", "apiVersion": "v9"}, "strategic-merge-patch")

        assert (code, answer) == (200, before)

    @pytest.mark.parametrize(
        "change, message",
        [
            ({"name": "b"}, "the name of the object (b) does not match the name on the URL (a)"),
            (
                {"namespace": "other"},
                "the namespace of the provided object does not match the namespace sent on the request",
            ),
        ],
        ids=["name", "namespace"],
    )
    def test_a_patch_cannot_rename(self, world, change, message):
        """400, as for a PUT under a wrong URL."""
        world.make("ConfigMap", "a")
        code, answer = world.ask("PATCH", MAPS + "/a", {"metadata": change})

        assert (code, answer["message"]) == (400, message)

    def test_a_dry_run_of_an_update_writes_nothing(self, world):
        """But answers with what would be."""
        world.make("ConfigMap", "a", data={"k": "v"})
        revision = world.store.revision
        _, answer = world.ask("PATCH", MAPS + "/a?dryRun=All", {"data": {"k": "w"}})

        assert answer["data"] == {"k": "w"}
        assert world.store.revision == revision


class TestStatus:
    """Writes to the status subresource. Upstream: each kind's StatusStrategy.PrepareForUpdate."""

    def test_the_spec_stays_and_metadata_is_the_client_s(self, world):
        """All but a Deployment's labels."""
        _deployment(world, labels={"l": "1"})
        metadata = {"labels": {"l": "2"}, "annotations": {"n": "1"}, "finalizers": ["a.b/c"]}
        body = {"metadata": metadata, "spec": {"replicas": 9}, "status": {"observedGeneration": 1}}
        code, answer = world.ask("PATCH", DEPLOYMENTS + "/d/status", body)

        assert code == 200, answer
        assert answer["spec"]["replicas"] == 2
        assert answer["status"] == {"observedGeneration": 1}
        assert answer["metadata"]["labels"] == {"l": "1"}
        assert answer["metadata"]["annotations"] == {"n": "1"}
        assert answer["metadata"]["finalizers"] == ["a.b/c"]
        assert answer["metadata"]["generation"] == 1

    def test_a_pod_keeps_its_owners_and_what_the_kubelet_left_out(self, world):
        """QoS class and observed generations are filled in from before; labels may change."""
        owners = [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "1"}]
        world.pod(metadata={"ownerReferences": owners})
        path = PODS + "/p/status"
        ready = {"type": "Ready", "status": "True", "observedGeneration": 1}
        world.ask("PATCH", path, {"status": {"observedGeneration": 1, "conditions": [ready]}})
        _, stored = world.ask("GET", PODS + "/p")
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
        metadata = {**stored["metadata"], "ownerReferences": [], "labels": {"l": "1"}}
        code, answer = world.ask("PUT", path, {**stored, "metadata": metadata, "status": status})

        assert code == 200, answer
        assert answer["metadata"]["ownerReferences"] == owners
        assert answer["metadata"]["labels"] == {"l": "1"}
        assert answer["status"] == {
            "phase": "Running",
            "qosClass": "BestEffort",
            "observedGeneration": 1,
            "conditions": [{"type": "Ready", "status": "False", "observedGeneration": 1}],
        }

    def test_a_volume_s_phase_has_a_time(self, world):
        """It moves with the phase, unless the client gives another."""
        source = {"hostPath": {"path": "/v"}}
        spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **source}
        created = world.make("PersistentVolume", "v", namespace="", spec=spec)
        world.loop.run_until(3_000_000_000)
        path = "/api/v1/persistentvolumes/v/status"
        _, bound = world.ask("PATCH", path, {"status": {"phase": "Bound"}})
        _, again = world.ask("PATCH", path, {"status": {"message": "m"}})

        times = [obj["status"]["lastPhaseTransitionTime"] for obj in (created, bound, again)]
        assert times == ["2026-01-01T00:00:00Z", "2026-01-01T00:00:03Z", "2026-01-01T00:00:03Z"]

    def test_a_node_is_created_with_its_status_but_updated_without(self, world):
        """The kubelet registers it whole."""
        path = "/api/v1/nodes"
        _, created = world.ask("POST", path, {"metadata": {"name": "n"}, "status": {"phase": "Running"}})
        _, updated = world.ask("PATCH", path + "/n", {"status": {"phase": "Pending"}})

        assert [obj["status"]["phase"] for obj in (created, updated)] == ["Running", "Running"]


class TestBinding:
    """POST to pods/binding. Upstream: pkg/registry/core/pod/storage/storage.go:BindingREST"""

    def test_it_is_one_write_of_node_and_condition(self, world):
        """The condition has no observedGeneration, which only the kubelet adds."""
        world.pod()
        code, _ = world.ask("POST", PODS + "/p/binding", BINDING)
        pod = world.ask("GET", PODS + "/p")[1]

        assert code == 200
        assert pod["spec"]["nodeName"] == "n"
        assert pod["metadata"]["generation"] == 1
        assert pod["status"]["conditions"] == [
            {
                "type": "PodScheduled",
                "status": "True",
                "lastProbeTime": None,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ]

    def test_labels_of_binding_and_node_come_with_it(self, world):
        """Annotations too; of the node only zone and region."""
        labels = {"topology.kubernetes.io/zone": "z", "other": "o"}
        world.make("Node", "n", namespace="", metadata={"labels": labels})
        world.pod(metadata={"labels": {"app": "web"}})
        metadata = {"name": "p", "labels": {"l": "1"}, "annotations": {"a": "1"}}
        world.ask("POST", PODS + "/p/binding", {**BINDING, "metadata": metadata})
        found = world.ask("GET", PODS + "/p")[1]["metadata"]

        assert found["labels"] == {"app": "web", "l": "1", "topology.kubernetes.io/zone": "z"}
        assert found["annotations"] == {"a": "1"}

    @pytest.mark.parametrize(
        "body, code, message",
        [
            ({"metadata": {"name": "q"}}, 400, "name in URL does not match name in Binding object"),
            (
                {"apiVersion": "v1", "kind": "Pod"},
                400,
                'Pod in version "v1" cannot be handled as a Binding: converting (v1.Pod) to (core.Binding): unknown conversion',
            ),
            (
                {"target": {"kind": "Pod", "name": "n"}},
                500,
                'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"',
            ),
            ({"target": {}}, 500, "target.name: Required value"),
        ],
        ids=["another name", "another kind", "a target that is no node", "no target"],
    )
    def test_a_binding_that_makes_no_sense_is_refused(self, world, body, code, message):
        """Before the Pod is looked at."""
        world.pod()
        found, answer = world.ask("POST", PODS + "/p/binding", {**BINDING, **body})

        assert (found, answer["message"]) == (code, message)

    @pytest.mark.parametrize(
        "prepare, message",
        [
            ({"node": "m"}, 'pod p is already assigned to node "m"'),
            ({"spec": {"schedulingGates": [{"name": "g"}]}}, "pod p has non-empty .spec.schedulingGates"),
        ],
        ids=["it is bound", "it is gated"],
    )
    def test_a_pod_that_cannot_be_bound_is_a_conflict(self, world, prepare, message):
        """Named by the subresource."""
        world.pod(**prepare)
        code, answer = world.ask("POST", PODS + "/p/binding", BINDING)

        assert code == 409
        assert answer["message"] == f'Operation cannot be fulfilled on pods/binding "p": {message}'

    def test_another_pod_s_uid_is_a_conflict_of_the_store(self, world):
        """The scheduler names the Pod that it saw."""
        uid = world.pod()["metadata"]["uid"]
        code, answer = world.ask("POST", PODS + "/p/binding", {**BINDING, "metadata": {"name": "p", "uid": "x"}})

        assert code == 409
        assert answer["message"] == (
            'Operation cannot be fulfilled on pods "p": StorageError: invalid object, Code: 4, Key: '
            "/registry/pods/default/p, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: "
            f"x, UID in object meta: {uid}"
        )


class TestScale:
    """The scale subresource. Upstream: pkg/registry/apps/deployment/storage/storage.go:ScaleREST"""

    PATH = DEPLOYMENTS + "/d/scale"

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_it_sets_the_replicas_and_nothing_else(self, world, method):
        """The answer is a Scale with the new revision."""
        _deployment(world)
        code, answer = world.ask(method, self.PATH, {"metadata": {"name": "d"}, "spec": {"replicas": 5}})
        stored = world.ask("GET", DEPLOYMENTS + "/d")[1]

        assert code == 200, answer
        assert (answer["kind"], answer["spec"], answer["status"]["selector"]) == ("Scale", {"replicas": 5}, "a=b")
        assert answer["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]
        assert stored["spec"]["replicas"] == 5
        assert stored["metadata"]["generation"] == 2

    @pytest.mark.parametrize(
        "method, subject",
        [
            (
                "PUT",
                'deployments.apps "d": StorageError: invalid object, Code: 4, Key: /registry/deployments/default/d, ResourceVersion: 0, AdditionalErrorMsg: ',
            ),
            ("PATCH", 'deployments/scale.apps "d": '),
        ],
    )
    def test_another_uid_is_a_conflict(self, world, method, subject):
        """Of the store for a PUT, of the subresource for a PATCH."""
        uid = _deployment(world)["metadata"]["uid"]
        code, answer = world.ask(method, self.PATH, {"metadata": {"name": "d", "uid": "x"}, "spec": {"replicas": 5}})

        assert code == 409
        assert answer["message"] == (
            f"Operation cannot be fulfilled on {subject}Precondition failed: UID in precondition: x, "
            f"UID in object meta: {uid}"
        )


class TestToken:
    """POST to serviceaccounts/token. Upstream: pkg/registry/core/serviceaccount/storage/token.go"""

    PATH = "/api/v1/namespaces/default/serviceaccounts/default/token"

    def test_it_answers_with_a_token_of_three_parts_and_its_end(self, world):
        """An hour where nothing else is asked for."""
        code, answer = world.ask("POST", self.PATH, {"spec": {}})

        assert code == 200, answer
        assert (answer["kind"], answer["apiVersion"]) == ("TokenRequest", "authentication.k8s.io/v1")
        assert answer["metadata"]["name"] == "default"
        assert answer["spec"]["expirationSeconds"] == 3600
        assert answer["status"]["expirationTimestamp"] == "2026-01-01T01:00:00Z"
        assert answer["status"]["token"].count(".") == 2

    def test_a_short_life_is_refused(self, world):
        """Ten minutes is the least."""
        code, answer = world.ask("POST", self.PATH, {"spec": {"expirationSeconds": 60}})

        assert code == 422
        assert answer["message"] == (
            'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 60: may not '
            "specify a duration less than 10 minutes"
        )

    def test_it_can_be_bound_to_a_pod_of_the_account(self, world):
        """And to no other kind but Node and Secret."""
        world.pod()
        reference = {"apiVersion": "v1", "kind": "Pod", "name": "p"}
        assert world.ask("POST", self.PATH, {"spec": {"boundObjectRef": reference}})[0] == 200
        assert world.ask("POST", self.PATH, {"spec": {"boundObjectRef": {**reference, "name": "q"}}})[0] == 404
        code, answer = world.ask("POST", self.PATH, {"spec": {"boundObjectRef": {**reference, "kind": "ConfigMap"}}})

        assert code == 400
        assert answer["message"] == "cannot bind token to object of type /v1, Kind=ConfigMap"
