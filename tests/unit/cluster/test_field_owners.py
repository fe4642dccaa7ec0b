"""Who owns the fields of objects that controllers and kubelets have written, as a real cluster says it.

Recorded on Kubernetes 1.36.3: a Deployment and a StatefulSet, applied by kubectl and left to run.
"""

import json
import re
from pathlib import Path

import pytest

from kubesim.cluster import Cluster

FACTS = json.loads((Path(__file__).with_name("facts") / "managed_fields.json").read_text())
# What the recorded Pods have for reasons outside the API server: the memory limit that a real kubelet reports.
_OF_THE_KUBELET = "f:resources"
# The applier is kubectl there and the Python API here.
_APPLIERS = ("kubectl-client-side-apply", "kubectl-create")


@pytest.fixture(scope="module")
def cluster():
    """A cluster in which both have become ready."""
    with Cluster(nodes=1) as made:
        made.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "rec-j"}})
        made.run(2)
        for obj in FACTS["applied"]:
            applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
            made.create({**obj, "metadata": {**obj["metadata"], "namespace": "default", "annotations": applied}})
        service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        metadata = {"name": "web", "namespace": "default"}
        made.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
        made.run(20)
        yield made


def _entries(entries):
    """The entries without what differs from run to run."""
    shown = []
    for entry in entries:
        text = re.sub(r'\{\\"(uid|ip)\\":\\"[^"]*\\"\}', r"{\1}", json.dumps(entry["fieldsV1"]))
        manager = "kubesim" if entry["manager"] in _APPLIERS else entry["manager"]
        fields = json.loads(text)
        fields.get("f:status", {}).pop(_OF_THE_KUBELET, None)
        shown.append((manager, entry["operation"], entry["apiVersion"], entry.get("subresource", ""), fields))
    return shown


def _named(cluster, reference):
    kind, _, name = reference.partition("/")
    if name:
        return reference
    found = [obj["metadata"] for obj in cluster.list(kind, "default")]
    owner = "db" if kind == "controllerrevision" else "web"
    return next(f"{kind}/{metadata['name']}" for metadata in found if metadata["name"].startswith(owner))


@pytest.mark.parametrize("reference", [name for name in FACTS if name != "applied"])
def test_a_running_clusters_fields_are_owned_as_recorded(cluster, reference):
    """Managers, versions, subresources and every field are those of the real cluster."""
    shown = cluster.get(_named(cluster, reference), show_managed_fields=True)

    assert _entries(shown["metadata"]["managedFields"]) == _entries(FACTS[reference])


def test_controllers_do_not_see_owners(cluster):
    """Objects in the store and in caches have no managedFields; they are put in for whoever asks for them."""
    pod = cluster.list("pods")[0]

    assert "managedFields" not in pod["metadata"]
    assert cluster.get(f"pod/{pod['metadata']['name']}", show_managed_fields=True)["metadata"]["managedFields"]
