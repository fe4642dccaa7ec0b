"""The ledger of owners: asked at any time it says the same, and it forgets what nobody can ask for."""

import pytest
from api_world import ApiWorld
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.api.kinds import CONFIG_MAP, SERVICE
from kubesim.api.requests import NO_OPTIONS, Options, Request, create, delete, patch
from kubesim.apiserver.server import Identity
from kubesim.errors import ApiError

SECOND = 1_000_000_000
OUTSIDE = Identity("somebody", manager="somebody", sees_owners=True)
ONE = Identity("somebody", manager="one", sees_owners=True)


def _merge(world, change, manager, **options):
    request = patch(CONFIG_MAP, "default", "a", change)
    options = Options(patch_type="merge", field_manager=manager, **options)
    return world.do(Request("patch", request.kind, "default", "a", "", change, options), OUTSIDE)


def _shown(world, name="a"):
    return world.server.ledger.shown(world.server.existing(CONFIG_MAP, "default", name))


changes = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2", None]), min_size=1, max_size=2)
writes = st.lists(st.tuples(st.sampled_from(["one", "two"]), changes), max_size=7)


@settings(max_examples=40, deadline=None)
@given(writes)
def test_it_does_not_matter_when_owners_are_asked_for(sequence):
    """Worked out after each write or once in the end, from the whole chain: the entries are the same."""
    asked, unasked = ApiWorld(), ApiWorld()
    for world in (asked, unasked):
        world.make("ConfigMap", "a", data={"a": "1"})
        for manager, data in sequence:
            world.loop.run_until(world.loop.now_ns + SECOND)
            _patch_unseen(world, {"data": data}, manager)
            if world is asked:
                _shown(world)

    assert _shown(asked)["metadata"].get("managedFields") == _shown(unasked)["metadata"].get("managedFields")


def _patch_unseen(world, change, manager):
    request = patch(CONFIG_MAP, "default", "a", change)
    world.do(Request("patch", request.kind, "default", "a", "", change, Options(field_manager=manager)))


@pytest.mark.parametrize("managers", [("one",), ("one", "two"), ("one", "one", "two")], ids=", ".join)
def test_a_long_history_of_writes_is_kept_short(managers):
    """However often an object is written, and by whom, its owners are right and the ledger stays small."""
    world = ApiWorld()
    world.make("ConfigMap", "a", data={"k": "0"})
    for number in range(60):
        _patch_unseen(world, {"data": {f"k{number}": "1"}}, managers[number % len(managers)])
    world.server.compact()
    world.server.compact()

    entries = _shown(world)["metadata"]["managedFields"]
    keys = [name for entry in entries for name in entry["fieldsV1"]["f:data"] if name != "."]
    assert sorted(keys) == sorted(["f:k", *(f"f:k{number}" for number in range(60))])
    assert len(world.server.ledger) == sum(len(table.objects) for table in world.store.tables.values())


def test_a_deleted_object_is_forgotten():
    """Watches can still see who owned what until history is compacted."""
    world = ApiWorld()
    before = len(world.server.ledger)
    world.make("ConfigMap", "a", data={"k": "1"})
    watch = world.server.watch(CONFIG_MAP, 0, NO_OPTIONS, lambda _: None, shows_owners=True)
    world.do(delete(CONFIG_MAP, "default", "a"))

    last = watch.drain()[-1]
    assert last.type == "DELETED"
    assert last.obj["metadata"]["managedFields"][0]["fieldsV1"] == {"f:data": {".": {}, "f:k": {}}}
    world.server.compact()
    world.server.compact()
    assert len(world.server.ledger) == before


def test_a_watch_shows_the_owners_of_each_revision():
    """An event has the owners as they were then, not as they are when it is read."""
    world = ApiWorld()
    world.make("ConfigMap", "a", data={"k": "1"})
    since = world.store.revision
    watch = world.server.watch(CONFIG_MAP, since, NO_OPTIONS, lambda _: None, shows_owners=True)
    _patch_unseen(world, {"data": {"k": "2"}}, "one")
    _patch_unseen(world, {"data": {"k": "3"}}, "two")

    owners = [[entry["manager"] for entry in event.obj["metadata"]["managedFields"]] for event in watch.drain()]
    assert owners == [["one", "unknown"], ["two", "unknown"]]


def test_what_is_told_beside_an_answer_is_of_that_request():
    """Warnings and whether an object was made belong to the last request alone."""
    world = ApiWorld()
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}, "bogus": 1}
    world.do(create(CONFIG_MAP, body))
    told = world.server.warnings, world.server.has_created
    _merge(world, {"data": {"k": "1"}}, "one")

    assert told == (['unknown field "bogus"'], True)
    assert (world.server.warnings, world.server.has_created) == ([], False)


def test_a_dry_run_takes_no_address():
    """A Service that is only tried gets an address that is free afterwards, as is one that was asked for."""
    world = ApiWorld()
    spec = {"clusterIP": "10.96.0.77", "ports": [{"port": 80}]}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"}, "spec": spec}
    tried = world.do(create(SERVICE, body, Options(dry_run=True)))
    body["metadata"]["name"] = "other"
    made = world.do(create(SERVICE, body))

    assert tried["spec"]["clusterIP"] == made["spec"]["clusterIP"] == "10.96.0.77"
    assert world.server.find(SERVICE, "default", "s") is None


def test_a_json_patch_has_an_end():
    """Upstream: handlers/patch.go:maxJSONPatchOperations."""
    world = ApiWorld()
    world.make("ConfigMap", "a")
    operations = [{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10_001
    with pytest.raises(ApiError) as refused:
        world.do(patch(CONFIG_MAP, "default", "a", operations, "json"))

    assert (refused.value.code, refused.value.reason) == (413, "RequestEntityTooLarge")
    assert refused.value.message.endswith("The allowed maximum operations in a JSON patch is 10000, got 10001")


def test_what_gos_encoding_leaves_out_is_not_stored():
    """Empty lists, maps and zeros of plain fields are gone; a pointer's zero and an empty volume source stay."""
    world = ApiWorld()
    container = {"name": "c", "image": "i", "command": [], "env": [{"name": "A", "value": ""}]}
    volumes = [{"name": "v", "emptyDir": {}}]
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container], "volumes": volumes}}
    spec = {"replicas": 0, "minReadySeconds": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    stored = world.make("Deployment", "d", api_version="apps/v1", spec=spec)["spec"]

    assert stored["replicas"] == 0
    assert "minReadySeconds" not in stored
    pod = stored["template"]["spec"]
    assert pod["volumes"] == [{"name": "v", "emptyDir": {}}]
    assert "command" not in pod["containers"][0]
    assert pod["containers"][0]["env"] == [{"name": "A"}]


def test_an_applied_empty_value_is_owned_though_it_is_not_stored():
    """Another who applies the same empty map takes it, as the stored object has none (seen on a real server)."""
    world = ApiWorld()
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {}}

    def apply(manager, force):
        options = Options(patch_type="apply", field_manager=manager, force=force)
        return world.do(Request("patch", CONFIG_MAP, "default", "a", "", config, options), OUTSIDE)

    apply("one", False)
    with pytest.raises(ApiError) as refused:
        apply("two", False)
    taken = apply("two", True)

    assert refused.value.message == 'Apply failed with 1 conflict: conflict with "one": .data'
    assert [entry["manager"] for entry in taken["metadata"]["managedFields"]] == ["two"]


THEIRS = {
    "manager": "theirs",
    "operation": "Update",
    "apiVersion": "v1",
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:data": {"f:other": {}}},
}


@pytest.mark.parametrize(
    ("sent", "managers"),
    [
        ([THEIRS], ["one", "theirs"]),
        ([{**THEIRS, "subresource": None}], ["one", "theirs"]),
        ([{**THEIRS, "manager": None}, {**THEIRS, "apiVersion": "v2"}], ["", "one"]),
        ([THEIRS, None], ["one"]),
        ([{**THEIRS, "fieldsV1": "f:data"}], ["one"]),
        ([{**THEIRS, "fieldsV1": 0}], ["one"]),
        ([{**THEIRS, "fieldsV1": {"k:1": {}}}], ["one"]),
    ],
)
def test_owners_that_a_client_sends_are_read_or_passed_over(sent, managers):
    """Null is nothing, as everywhere; where one entry is not what it should be, none counts."""
    world = ApiWorld()
    body = {"metadata": {"name": "a", "namespace": "default", "managedFields": sent}, "data": {"k": "1"}}
    made = world.do(create(CONFIG_MAP, body), ONE)

    assert sorted(entry["manager"] for entry in made["metadata"]["managedFields"]) == managers


def test_the_last_write_of_a_deleted_object_answers_with_its_owners():
    """A write that takes the last finalizer off shows who would own what, though nothing is stored any more."""
    world = ApiWorld()
    world.make("ConfigMap", "a", data={"k": "1"}, metadata={"finalizers": ["example.com/f"]})
    world.do(delete(CONFIG_MAP, "default", "a"))
    answer = _merge(world, {"data": {"k": "2"}, "metadata": {"finalizers": None}}, "one")

    owners = {entry["manager"]: entry["fieldsV1"] for entry in answer["metadata"]["managedFields"]}
    assert owners == {"unknown": {"f:data": {}}, "one": {"f:data": {"f:k": {}}}}
    assert world.server.find(CONFIG_MAP, "default", "a") is None


def test_an_invalid_service_of_a_taken_name_is_invalid():
    """Its content is looked at first (seen on a real server), and the other Service keeps its address."""
    world = ApiWorld()
    made = world.make("Service", "s", spec={"ports": [{"port": 80}]})
    with pytest.raises(ApiError) as refused:
        world.make("Service", "s", spec={})

    assert refused.value.message == 'Service "s" is invalid: spec.ports: Required value'
    assert world.server.find(SERVICE, "default", "s")["spec"]["clusterIP"] == made["spec"]["clusterIP"]
