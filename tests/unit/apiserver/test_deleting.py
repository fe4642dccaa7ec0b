"""How objects go: graces, finalizers, propagation, namespaces.

Expected values: recordings a5-delete-grace, c4-orphan-adopt and i-api-errors of Kubernetes 1.36.3, and
apiserver/pkg/registry/{rest/delete.go,generic/registry/store.go} @v1.36 where nothing was recorded.
"""

import pytest

from kubesim.api.kinds import CONFIG_MAP, POD
from kubesim.api.requests import NO_OPTIONS
from kubesim.sim.loop import SECOND

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"


def _marks(obj):
    metadata = obj["metadata"]
    return metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds"), metadata.get("generation")


@pytest.mark.parametrize(
    "query, marks",
    [
        ("", ("2026-01-01T00:00:30Z", 30, 2)),
        ("?gracePeriodSeconds=5", ("2026-01-01T00:00:05Z", 5, 2)),
        ("?gracePeriodSeconds=-1", ("2026-01-01T00:00:01Z", 1, 2)),
    ],
    ids=["the Pod's own grace", "the grace asked for", "a negative grace is one second"],
)
def test_a_bound_pod_is_marked_and_stays(world, query, marks):
    """The kubelet's own delete ends it later."""
    world.pod(node="n")
    code, answer = world.ask("DELETE", f"{PODS}/p{query}")

    assert (code, _marks(answer)) == (200, marks)
    assert world.store.get("pods", ("default", "p")) is not None


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_goes_at_once(world, phase):
    """There is nothing left to wait for."""
    world.pod(node="n")
    world.ask("PATCH", f"{PODS}/p/status", {"status": {"phase": phase}})
    world.ask("DELETE", f"{PODS}/p")

    assert world.store.get("pods", ("default", "p")) is None


def test_a_pod_that_goes_at_once_is_marked_first(world):
    """Watches see MODIFIED with grace 0, then DELETED with a later revision, which is also what the client gets."""
    world.pod()
    watch = world.server.watch(POD, world.store.revision, NO_OPTIONS, lambda _: None)
    _, answer = world.ask("DELETE", f"{PODS}/p")
    events = watch.drain()

    assert [kind for kind, _ in events] == ["MODIFIED", "DELETED"]
    assert [_marks(obj) for _, obj in events] == [("2026-01-01T00:00:00Z", 0, 2)] * 2
    assert answer["metadata"]["resourceVersion"] == events[1].obj["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    "second, marks",
    [
        ("?gracePeriodSeconds=3", ("2026-01-01T00:00:03Z", 3, 2)),
        ("?gracePeriodSeconds=60", ("2026-01-01T00:00:20Z", 20, 2)),
        ("", ("2026-01-01T00:00:20Z", 20, 2)),
        ("?gracePeriodSeconds=1", ("2026-01-01T00:00:02Z", 1, 2)),
    ],
    ids=["shorter counts", "longer does not", "none asked changes nothing", "in the past becomes now with grace 1"],
)
def test_a_second_delete_can_only_shorten_the_grace(world, second, marks):
    """The timestamp moves with the grace, never into the past, and the generation moves once."""
    world.pod(node="n")
    world.ask("DELETE", f"{PODS}/p?gracePeriodSeconds=20")
    world.loop.run_until(2 * SECOND)
    _, answer = world.ask("DELETE", f"{PODS}/p{second}")

    assert _marks(answer) == marks


def test_a_finalizer_holds_a_pod_after_its_last_delete(world):
    """The kubelet's delete with grace 0 leaves it until the finalizer is taken off."""
    world.pod(node="n", metadata={"finalizers": ["a.b/c"]})
    world.ask("DELETE", f"{PODS}/p")
    _, answer = world.ask("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
    assert _marks(answer)[1] == 0
    assert world.store.get("pods", ("default", "p")) is not None
    code, _ = world.ask("PATCH", f"{PODS}/p", {"metadata": {"finalizers": None}})

    assert code == 200
    assert world.store.get("pods", ("default", "p")) is None


@pytest.mark.parametrize(
    "policy, finalizers",
    [("Orphan", ["orphan"]), ("Foreground", ["foregroundDeletion"])],
)
def test_a_propagation_policy_is_a_finalizer_for_the_garbage_collector(world, policy, finalizers):
    """The object stays, marked, with grace 0 and its generation moved."""
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    world.make("ReplicaSet", "r", api_version="apps/v1", spec={**spec, "template": template})
    path = f"/apis/apps/v1/namespaces/default/replicasets/r?propagationPolicy={policy}"
    _, answer = world.ask("DELETE", path)

    assert answer["metadata"]["finalizers"] == finalizers
    assert _marks(answer) == ("2026-01-01T00:00:00Z", 0, 2)


def test_background_takes_a_policy_finalizer_off_again(world):
    """A delete in the background overrides the orphaning that a delete before asked for."""
    world.make("ConfigMap", "a", metadata={"finalizers": ["orphan"]})
    code, answer = world.ask("DELETE", f"{MAPS}/a", {"propagationPolicy": "Background"})

    assert (code, answer["kind"]) == (200, "Status")
    assert world.store.get("configmaps", ("default", "a")) is None


def test_a_collection_is_deleted_by_selector_and_answers_with_what_it_was(world):
    """Only what matches goes."""
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        world.make("ConfigMap", name, metadata={"labels": {"color": color}})
    code, answer = world.ask("DELETE", f"{MAPS}?labelSelector=color%3Dred")

    assert (code, [item["metadata"]["name"] for item in answer["items"]]) == (200, ["a", "c"])
    assert list(world.store.table("configmaps").objects) == [("default", "b")]


def test_a_dry_run_deletes_nothing(world):
    """Object, revision and watch stay as they are, and the answer is that of a real delete."""
    world.pod(node="n")
    watch = world.server.watch(CONFIG_MAP, world.store.revision, NO_OPTIONS, lambda _: None)
    revision = world.store.revision
    _, answer = world.ask("DELETE", f"{PODS}/p?dryRun=All")

    assert _marks(answer)[1] == 30
    assert world.store.revision == revision
    assert "deletionTimestamp" not in world.store.get("pods", ("default", "p"))["metadata"]
    assert watch.drain() == []


class TestNamespaces:
    """A namespace's way out. Upstream: pkg/registry/core/namespace/storage/storage.go @v1.36"""

    PATH = "/api/v1/namespaces/shop"

    def test_the_first_delete_makes_it_terminating(self, world):
        """No grace, no generation, and nothing new may be created in it."""
        world.namespace("shop")
        _, answer = world.ask("DELETE", self.PATH)
        assert answer["status"]["phase"] == "Terminating"
        assert answer["spec"]["finalizers"] == ["kubernetes"]
        assert _marks(answer) == ("2026-01-01T00:00:00Z", None, None)

        code, refused = world.ask("POST", f"{self.PATH}/configmaps", {"metadata": {"generateName": "late-"}})
        assert code == 403
        assert refused["message"] == (
            'configmaps "late-" is forbidden: unable to create new content in namespace shop because it is being '
            "terminated"
        )
        assert refused["details"]["causes"][0]["reason"] == "NamespaceTerminating"

    def test_it_goes_when_finalize_empties_its_finalizers(self, world):
        """The namespace controller's last word; the answer is the namespace without them."""
        world.namespace("shop")
        _, marked = world.ask("DELETE", self.PATH)
        code, answer = world.ask("PUT", f"{self.PATH}/finalize", {**marked, "spec": {}})

        assert (code, answer["spec"]) == (200, {})
        assert world.ask("GET", self.PATH)[0] == 404

    def test_a_finalizer_of_its_own_holds_it_longer(self, world):
        """Until an update takes that off."""
        world.namespace("shop")
        world.ask("PATCH", self.PATH, {"metadata": {"finalizers": ["a.b/c"]}})
        _, marked = world.ask("DELETE", self.PATH)
        world.ask("PUT", f"{self.PATH}/finalize", {**marked, "spec": {}})
        assert world.ask("GET", self.PATH)[0] == 200
        world.ask("PATCH", self.PATH, {"metadata": {"finalizers": None}})

        assert world.ask("GET", self.PATH)[0] == 404

    def test_an_update_cannot_touch_the_finalizers_in_its_spec(self, world):
        """That is what the finalize subresource is for."""
        world.namespace("shop")
        code, answer = world.ask("PATCH", self.PATH, {"spec": {"finalizers": []}})

        assert (code, answer["spec"]) == (200, {"finalizers": ["kubernetes"]})

    @pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
    def test_some_may_not_be_deleted(self, world, name):
        """The cluster needs them."""
        code, answer = world.ask("DELETE", f"/api/v1/namespaces/{name}")

        assert code == 403
        assert answer["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'

    def test_a_stale_uid_is_refused_in_its_own_words(self, world):
        """Namespaces check preconditions themselves."""
        world.namespace("shop")
        uid = world.ask("GET", self.PATH)[1]["metadata"]["uid"]
        code, answer = world.ask("DELETE", self.PATH, {"preconditions": {"uid": "x"}})

        assert code == 409
        assert answer["message"] == (
            'Operation cannot be fulfilled on namespaces "shop": Precondition failed: UID in precondition: x, '
            f"UID in object meta: {uid}"
        )
