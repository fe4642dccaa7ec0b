"""What the tests of the volume controllers add to a control plane: classes, claims, volumes and what came of them."""

from control_plane_world import World

from kubesim.api.kinds import EVENT, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS
from kubesim.api.objects import annotations_of

# The in-tree plugin deletes nothing elsewhere.
ROOT = "/tmp"  # noqa: S108


class VolumesWorld(World):
    def storage_class(self, name, provisioner="kubernetes.io/host-path", **fields):
        return self.create(STORAGE_CLASS, name, provisioner=provisioner, **fields)

    def claim(self, name="data", storage_class="", storage="1Gi", modes=("ReadWriteOnce",), **spec):
        spec = {"accessModes": list(modes), "resources": {"requests": {"storage": storage}}, **spec}
        if storage_class is not None:
            spec["storageClassName"] = storage_class
        return self.create(PERSISTENT_VOLUME_CLAIM, name, spec=spec)

    def volume(self, name="disk", storage="2Gi", source=None, **spec):
        """A volume, and the moment until the binder has found it Available."""
        source = source or {"hostPath": {"path": f"{ROOT}/{name}"}}
        spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": storage}, **source, **spec}
        self.create(PERSISTENT_VOLUME, name, spec=spec)
        self.run()

    def pod_with(self, claim, name="app", node=""):
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": claim}}
        pod = self.pod(name, volumes=[volume])
        if node:
            self.bind(name, node)
        return pod

    def get_claim(self, name="data"):
        return self.find(PERSISTENT_VOLUME_CLAIM, name)

    def get_volume(self, name="disk"):
        return self.find(PERSISTENT_VOLUME, name)

    def phase(self, kind, name):
        found = self.find(kind, name)
        return None if found is None else found["status"]["phase"]

    def claim_phase(self, name="data"):
        return self.phase(PERSISTENT_VOLUME_CLAIM, name)

    def volume_phase(self, name="disk"):
        return self.phase(PERSISTENT_VOLUME, name)

    def select_node(self, claim, node):
        """What the scheduler writes when a claim's volume is to be made for a node."""
        body = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": node}}}
        return self.patch(PERSISTENT_VOLUME_CLAIM, claim, body)

    def events(self, name):
        """(reason, message, count) of the Events about the object."""
        return [
            (event["reason"], event["message"], event["count"])
            for event in self.list(EVENT)
            if event["involvedObject"]["name"] == name
        ]

    def volume_writes(self):
        """The writes on claims and volumes, without names."""
        return [
            (controller, verb, kind)
            for controller, verb, kind, _ in self.writes
            if kind in ("PersistentVolume", "PersistentVolumeClaim")
        ]

    def is_settled(self, *controllers):
        """Whether these controllers have nothing in their queues."""
        return all(worker.queue.idle for name in controllers for worker in self.manager.controllers[name].workers)

    def finish(self, pod):
        """The Pod's containers end and its object goes."""
        self.delete(POD, pod, grace_period_s=0)

    def annotations(self, claim="data"):
        return annotations_of(self.get_claim(claim))
