"""One API server and clients on it, in virtual time."""

from kubesim.api.kinds import CONFIG_MAP, NAMESPACE
from kubesim.api.requests import Options, create, delete, patch
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.client.informer import Informer
from kubesim.client.inprocess import InProcessClient, Latency
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import MILLISECOND, Loop
from kubesim.store.log import Store

ADMIN = Identity("admin", is_trusted=True)


class ClientWorld:
    """`do` is immediate; `client` takes the default latencies."""

    def __init__(self):
        self.loop = Loop()
        self.store = Store()
        self.server = ApiServer(self.loop, self.store, Chooser(1).stream("apiserver"))
        self.client = self.new_client()
        self.do(create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}))

    def new_client(self, latency=None, limit=None):
        return InProcessClient(self.loop, self.server, ADMIN, latency or Latency(), limit)

    def informer(self, options=None):
        """An informer of ConfigMaps and the list that its handlers fill."""
        informer = Informer(self.loop, self.client, CONFIG_MAP, options or Options())
        heard = []
        informer.add_handler(
            lambda obj: heard.append(("add", obj["metadata"]["name"])),
            lambda old, new: heard.append(("update", new["metadata"]["name"], old["data"]["k"], new["data"]["k"])),
            lambda obj: heard.append(("delete", obj["metadata"]["name"])),
        )
        informer.start()
        return informer, heard

    def do(self, request):
        return self.server.handle(request, ADMIN)

    def make(self, name, value="1", labels=None):
        metadata = {"name": name, "namespace": "n", **({"labels": labels} if labels else {})}
        return self.do(
            create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": value}})
        )

    def change(self, name, value):
        return self.do(patch(CONFIG_MAP, "n", name, {"data": {"k": value}}))

    def drop(self, name):
        return self.do(delete(CONFIG_MAP, "n", name))

    def run(self, ns=100 * MILLISECOND):
        self.loop.run_until(self.loop.now_ns + ns)
