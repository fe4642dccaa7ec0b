"""The fast cycle decides as the plain one does, draw for draw."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.client.informer import Lister
from kubesim.scheduler.equivalence import EquivalenceClasses
from kubesim.scheduler.evaluation import Plugins, choose
from kubesim.scheduler.nominator import Nominator
from kubesim.scheduler.snapshot import Listers, Snapshot
from kubesim.sim.chooser import Chooser

KEYS = ["topology.kubernetes.io/zone", "kubernetes.io/hostname", "rack"]
APPS = ["a", "b", "c"]

taints = st.builds(
    lambda key, effect: {"key": key, "effect": effect},
    st.sampled_from(["x", "y"]),
    st.sampled_from(["NoSchedule", "PreferNoSchedule", "PreferNoSchedule"]),
)
tolerations = st.builds(lambda key: {"key": key, "operator": "Exists"}, st.sampled_from(["x", "y"]))
selectors = st.builds(lambda app: {"matchLabels": {"app": app}}, st.sampled_from(APPS))


@st.composite
def nodes(draw, index: int):
    """A node in some zone and rack, perhaps without those labels, perhaps tainted or cordoned."""
    labels = {}
    for key, values in (("topology.kubernetes.io/zone", ["1", "2", ""]), ("rack", ["r1", "r2", "r3", ""])):
        value = draw(st.sampled_from(values))
        if value:
            labels[key] = value
    if draw(st.integers(0, 5)):
        labels["kubernetes.io/hostname"] = f"host-{index if draw(st.integers(0, 4)) else 0}"
    images = [{"names": ["registry/a:1"], "sizeBytes": 400 * 1024 * 1024}] if draw(st.booleans()) else []
    return {
        "metadata": {"name": f"n{index}", "labels": labels},
        "spec": {
            "taints": draw(st.lists(taints, max_size=2, unique_by=str)) if draw(st.booleans()) else [],
            "unschedulable": draw(st.integers(0, 7)) == 7,
        },
        "status": {
            "allocatable": {
                "cpu": draw(st.sampled_from(["1", "2", "4"])),
                "memory": draw(st.sampled_from(["2Gi", "4Gi"])),
                "pods": draw(st.sampled_from(["3", "10"])),
            },
            "images": images,
        },
    }


@st.composite
def pod_terms(draw):
    """A PodAffinityTerm over one of the topologies."""
    return {"topologyKey": draw(st.sampled_from(KEYS)), "labelSelector": draw(selectors)}


@st.composite
def spread_constraints(draw):
    """A constraint over one of the topologies."""
    constraint = {
        "maxSkew": draw(st.integers(1, 2)),
        "topologyKey": draw(st.sampled_from(KEYS)),
        "whenUnsatisfiable": draw(st.sampled_from(["DoNotSchedule", "ScheduleAnyway"])),
        "labelSelector": draw(selectors),
    }
    if draw(st.integers(0, 3)) == 0:
        constraint["nodeTaintsPolicy"] = "Honor"
    if draw(st.integers(0, 3)) == 0:
        constraint["nodeAffinityPolicy"] = "Ignore"
    if constraint["whenUnsatisfiable"] == "DoNotSchedule" and draw(st.integers(0, 3)) == 0:
        constraint["minDomains"] = 2
    return constraint


@st.composite
def pod_affinities(draw):
    """Required and preferred terms of one side."""
    side = {}
    if draw(st.booleans()):
        side["requiredDuringSchedulingIgnoredDuringExecution"] = draw(st.lists(pod_terms(), min_size=1, max_size=2))
    else:
        side["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": draw(st.integers(1, 100)), "podAffinityTerm": draw(pod_terms())}
        ]
    return side


@st.composite
def templates(draw):
    """The spec and labels of a Pod, most often a plain one."""
    requests = {}
    if draw(st.booleans()):
        requests = {"cpu": draw(st.sampled_from(["100m", "400m"])), "memory": draw(st.sampled_from(["64Mi", "700Mi"]))}
    container = {
        "name": "c",
        "image": draw(st.sampled_from(["registry/a:1", "b"])),
        "resources": {"requests": requests},
    }
    if draw(st.integers(0, 5)) == 0:
        container["ports"] = [{"containerPort": 80, "hostPort": draw(st.sampled_from([80, 81]))}]
    spec = {"containers": [container], "tolerations": draw(st.lists(tolerations, max_size=1))}
    affinity = {}
    if draw(st.integers(0, 3)) == 0:
        affinity["podAffinity"] = draw(pod_affinities())
    if draw(st.integers(0, 3)) == 0:
        affinity["podAntiAffinity"] = draw(pod_affinities())
    if draw(st.integers(0, 3)) == 0:
        expression = {"key": "rack", "operator": draw(st.sampled_from(["In", "NotIn"])), "values": ["r1", "r2"]}
        term = {"matchExpressions": [expression]}
        if draw(st.booleans()):
            affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        else:
            preferred = [{"weight": draw(st.integers(1, 50)), "preference": term}]
            affinity["nodeAffinity"] = {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
    if affinity:
        spec["affinity"] = affinity
    if draw(st.integers(0, 2)) == 0:
        spec["topologySpreadConstraints"] = draw(st.lists(spread_constraints(), min_size=1, max_size=2))
    return {"labels": {"app": draw(st.sampled_from(APPS))}, "spec": spec}


class Twins:
    """One cluster asked by both ways at once."""

    def __init__(self, nodes, templates) -> None:
        self.listers = Listers(*[Lister() for _ in Listers._fields])
        for app in APPS[:2]:
            service = {"metadata": {"namespace": "default", "name": app}, "spec": {"selector": {"app": app}}}
            self.listers.services.put(("default", app), service)
        self.snapshot = Snapshot(self.listers)
        self.templates = templates
        for node in nodes:
            self.snapshot.add_node(node)
        self.plugins = Plugins()
        self.classes = EquivalenceClasses(self.snapshot)
        self.streams = Chooser(1).stream("s"), Chooser(1).stream("s")
        self.start = 0
        self.bound = []
        self.count = 0

    def schedule(self, index: int):
        """What the plain way and the fast way answer for one more Pod of a template; it goes where the plain one says.

        Each answer is the node's name and where the next search starts, or None where no node fits.
        """
        template = self.templates[index % len(self.templates)]
        self.count += 1
        name = f"p{self.count}"
        pod = {
            "metadata": {"namespace": "default", "name": name, "uid": name, "labels": template["labels"]},
            "spec": template["spec"],
            "status": {},
        }
        profile = self.snapshot.profiles.of(pod)
        start = self.start % len(self.snapshot.order)
        plain_stream, fast_stream = self.streams
        plain = choose(self.plugins, pod, profile, self.snapshot, start, Nominator(), plain_stream)
        fast = self.classes.choose(profile, start, fast_stream)
        if plain.node is not None:
            self.snapshot.add_pod(pod, plain.node.name)
            self.bound.append(pod)
        self.start = plain.next_start
        return (
            None if plain.node is None else (plain.node.name, plain.next_start),
            None if fast is None else (fast.node.name, fast.next_start),
        )

    def delete(self, index: int) -> None:
        """Let a Pod go, first marked and then gone, as its index has it."""
        if self.bound:
            pod = self.bound[index % len(self.bound)]
            if index % 2 and "deletionTimestamp" not in pod["metadata"]:
                leaving = {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
                self.snapshot.update_pod(leaving)
                self.bound[self.bound.index(pod)] = leaving
            else:
                self.bound.remove(pod)
                self.snapshot.remove_pod(pod["metadata"]["uid"])

    def relabel(self, index: int) -> None:
        """Give a Pod that is on a node other labels, as binding does with the node's topology."""
        if self.bound:
            at = index % len(self.bound)
            pod = self.bound[at]
            labels = {**pod["metadata"]["labels"], "app": APPS[index % 3], "zone": str(index % 2)}
            self.bound[at] = {**pod, "metadata": {**pod["metadata"], "labels": labels}}
            self.snapshot.update_pod(self.bound[at])


@st.composite
def clusters(draw):
    """Nodes, templates, and what happens."""
    count = draw(st.integers(1, 7))
    steps = st.tuples(st.sampled_from(["schedule"] * 6 + ["delete", "relabel", "replace"]), st.integers(0, 30))
    return (
        [draw(nodes(index)) for index in range(count)],
        draw(st.lists(templates(), min_size=1, max_size=3)),
        draw(st.lists(steps, min_size=5, max_size=25)),
        draw(nodes(0)),
    )


@settings(max_examples=150, deadline=None)
@given(clusters())
def test_fast_and_plain_cycles_agree_on_any_small_cluster(cluster) -> None:
    """Whatever Pods want and whatever happens to nodes and Pods, both ways choose the same node."""
    nodes_, templates_, steps, replacement = cluster
    twins = Twins(nodes_, templates_)
    for verb, index in steps:
        if verb == "schedule":
            plain, fast = twins.schedule(index)
            assert fast == plain
        elif verb == "delete":
            twins.delete(index)
        elif verb == "relabel":
            twins.relabel(index)
        else:
            twins.snapshot.update_node(replacement)


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_fast_and_plain_cycles_agree_where_the_search_ends_early(data) -> None:
    """With more than a hundred nodes only a rotating window is looked at, and both ways look at the same one."""
    kinds = [data.draw(nodes(index)) for index in range(5)]
    many = []
    for index in range(data.draw(st.integers(101, 130))):
        node = kinds[index % 5]
        labels = {**node["metadata"]["labels"], "kubernetes.io/hostname": f"h{index}"}
        many.append({**node, "metadata": {"name": f"m{index}", "labels": labels}})
    twins = Twins(many, [data.draw(templates()), data.draw(templates())])
    for index in range(30):
        plain, fast = twins.schedule(index)
        assert fast == plain
