"""Random sequences of requests, drawn by Hypothesis: three kinds, two names each, right and wrong in about equal parts.

The same seed draws the same sequences with the same version of Hypothesis; recordings keep the steps themselves.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from adapters.parity.bodies import COMMON, KINDS, Change
from adapters.parity.changes import CHANGES
from adapters.parity.steps import CURRENT, STALE, Step
from kubesim.api.requests import Verb

LENGTH: Final = 25

_SEEDS: Final = 1_000_000

_SCALED: Final = ("deployments", "replicasets", "statefulsets")
# What a request does, as often as it stands here.
_ACTIONS: Final = (
    *("create",) * 5,
    *("update",) * 4,
    *("patch",) * 4,
    *("apply",) * 4,
    *("delete",) * 2,
    *("list",) * 2,
    *("get",) * 1,
    *("rare",) * 1,
)
# None that is no number: a real API server tries such an update again until its time is over.
_VERSIONS: Final = (CURRENT, CURRENT, CURRENT, "", STALE)
_LABEL_SELECTORS: Final = (
    "app=web",
    "app in (web,other),tier",
    "!app",
    "app==",
    "app in web",
    "app=bad value!",
    "bad key!=x",
    "app notin ()",
    "tier gt 3",
    "tier>3",
    "tier>x",
    "app,,tier",
    "=",
)
_FIELD_SELECTORS: Final = (
    "metadata.name=a",
    "metadata.name!=a",
    "metadata.namespace=x",
    "status.phase=Pending",
    "spec.nodeName=",
    "type=Opaque",
    "status.replicas=0",
    "spec.other=1",
    "metadata.name",
    "metadata.name=a=b",
    "metadata.name>a",
)
_RAW: Final[dict[str, tuple[Any, ...]]] = {
    "json": (
        [{"op": "test", "path": "/metadata/name", "value": "a"}],
        [{"op": "test", "path": "/metadata/name", "value": "nobody"}],
        [{"op": "remove", "path": "/metadata/labels/none"}],
        [{"op": "replace", "path": "/none/at/all", "value": 1}],
        [{"op": "jump", "path": "/metadata"}],
        [{"op": "move", "from": "/metadata/labels/app", "path": "/metadata/labels/tier"}],
        [{"op": "copy", "from": "/metadata/labels/none", "path": "/metadata/labels/tier"}],
        [{"op": "add", "path": "metadata/labels", "value": {}}],
        [],
        [1],
    ),
    "merge": ([], [1], {}, 5, {"metadata": None}, {"metadata": {"labels": None}}),
    "strategic": (
        [],
        {},
        5,
        {"metadata": None},
        {"$patch": "replace"},
        {"metadata": {"$patch": "jump"}},
        {"metadata": {"labels": {"$patch": "delete"}}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]}},
        {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}},
        {"spec": {"ports": [{"name": "more"}]}},
    ),
}

_Drawn = st.SearchStrategy[dict[str, Any]]
_names = st.sampled_from(("a", "b"))
_write_options: _Drawn = st.sampled_from(
    (
        *({},) * 6,
        {"dry_run": True},
        {"field_validation": "Strict"},
        {"field_validation": "Strict"},
        {"field_validation": "Ignore"},
        {"field_validation": "Loud"},
        {"field_manager": "other"},
        {"field_manager": "x" * 129},
        {"field_manager": "bad\x07manager"},
    )
)
_apply_options: _Drawn = st.sampled_from(
    (
        *({},) * 4,
        *({"field_manager": "other"},) * 3,
        {"force": True},
        {"force": True, "field_manager": "other"},
        {"dry_run": True},
        {"field_validation": "Strict"},
    )
)
_delete_options: _Drawn = st.sampled_from(
    (
        *({},) * 4,
        {"dry_run": True},
        {"grace_period_s": 0},
        {"grace_period_s": -5},
        {"grace_period_s": 30},
        {"propagation": "Foreground"},
        {"propagation": "Background"},
        {"propagation": "Orphan"},
        {"propagation": "Sideways"},
        {"precondition_uid": CURRENT},
        {"precondition_uid": "other"},
        {"precondition_resource_version": CURRENT},
        {"precondition_resource_version": STALE},
    )
)
_collection_options: _Drawn = st.sampled_from(
    ({}, {"dry_run": True}, {"label_selector": "app=web"}, {"label_selector": "a=b=c"})
)
_list_options: _Drawn = st.one_of(
    st.just({}),
    st.sampled_from(_LABEL_SELECTORS).map(lambda text: {"label_selector": text}),
    st.sampled_from(_FIELD_SELECTORS).map(lambda text: {"field_selector": text}),
    st.sampled_from(
        (
            {"limit": 1},
            {"limit": 1, "continue_token": CURRENT},
            {"continue_token": CURRENT},
            {"continue_token": "abc"},
            {"resource_version": "0"},
            {"resource_version": "abc"},
            {"resource_version": "0", "resource_version_match": "Exact"},
            {"resource_version": "0", "resource_version_match": "NotOlderThan"},
            {"resource_version_match": "Exact"},
            {"resource_version": "1", "resource_version_match": "Nearly"},
            {"resource_version": "1", "continue_token": CURRENT},
        )
    ),
)


def _changes(resource: str, least: int, most: int = 2) -> st.SearchStrategy[tuple[Change, ...]]:
    """Mostly the kind's own; no two of one field."""
    own = st.sampled_from(CHANGES[resource])
    one = st.one_of(own, own, own, st.sampled_from(COMMON))
    return st.lists(one, min_size=least, max_size=most, unique_by=lambda change: change[0]).map(tuple)


@st.composite
def _step(draw: st.DrawFn, resources: list[str]) -> Step:
    resource, name = draw(st.sampled_from(resources)), draw(_names)
    action = draw(st.sampled_from(_ACTIONS))
    if action == "create":
        changes = draw(st.one_of(st.just(()), _changes(resource, 0)))
        version = draw(st.sampled_from(("",) * 9 + (STALE,)))
        generated: tuple[Change, ...] = draw(
            st.sampled_from(((),) * 9 + ((("metadata/name",), ("metadata/generateName", "gen-")),))
        )
        return Step("create", resource, name, changes + generated, version, options=draw(_write_options))
    if action == "update":
        version = draw(st.sampled_from(_VERSIONS))
        is_on_current = draw(st.booleans())
        return Step(
            "update", resource, name, draw(_changes(resource, 0)), version, is_on_current, options=draw(_write_options)
        )
    if action == "patch":
        return draw(_patch(resource, name))
    if action == "apply":
        changes = draw(_changes(resource, 0))
        options = {"patch_type": "apply", **draw(_apply_options)}
        return Step("patch", resource, name, changes, options=options)
    if action == "delete":
        return Step("delete", resource, name, options=draw(_delete_options))
    if action == "list":
        return Step("list", resource, options=draw(_list_options))
    if action == "get":
        return Step("get", resource, draw(st.sampled_from(("a", "b", "none"))))
    return draw(_rare(resource, name))


@st.composite
def _patch(draw: st.DrawFn, resource: str, name: str) -> Step:
    patch_type = draw(st.sampled_from(("json", "merge", "strategic")))
    options = {"patch_type": patch_type, **draw(_write_options)}
    if draw(st.integers(0, 4)) == 0:
        return Step("patch", resource, name, raw=draw(st.sampled_from(_RAW[patch_type])), options=options)
    version = "" if patch_type == "json" else draw(st.sampled_from(("", "", "", CURRENT, STALE)))
    return Step("patch", resource, name, draw(_changes(resource, 1)), version, options=options)


@st.composite
def _rare(draw: st.DrawFn, resource: str, name: str) -> Step:
    if resource in _SCALED and draw(st.booleans()):
        changes = draw(
            st.sampled_from(((), (("spec/replicas", 1),), (("spec/replicas", -1),), (("spec/replicas", "x"),)))
        )
        is_on_current = False
        version = draw(st.sampled_from(("", STALE)))
        verb: Verb = draw(st.sampled_from(("update", "get")))
        return Step(verb, resource, name, changes if verb == "update" else (), version, is_on_current, "scale")
    if KINDS[resource].namespaced and draw(st.booleans()):
        return Step("deletecollection", resource, options=draw(_collection_options))
    if "status" in KINDS[resource].subresources:
        version = draw(st.sampled_from(_VERSIONS))
        return Step("update", resource, name, draw(_changes(resource, 0, 1)), version, True, "status")
    return Step("get", resource, name)


@st.composite
def _sequence(draw: st.DrawFn) -> list[Step]:
    resources = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=3, max_size=3, unique=True))
    steps = st.lists(_step(resources), min_size=LENGTH - len(resources), max_size=LENGTH - len(resources))
    return [Step("create", resource, "a") for resource in resources] + draw(steps)


def draw_sequences(number: int, seed_value: int) -> list[list[Step]]:
    """So many sequences of `LENGTH` requests. Each is drawn with a seed of its own, or they would be much alike."""
    return [_draw(seed_value * _SEEDS + index) for index in range(number)]


def _draw(seed_value: int) -> list[Step]:
    drawn: list[list[Step]] = []

    # The first example is always the simplest there is.
    @seed(seed_value)
    @settings(
        max_examples=2,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_sequence())
    def collect(steps: list[Step]) -> None:
        drawn.append(steps)

    collect()
    return drawn[-1]
