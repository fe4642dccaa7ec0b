"""Who is who over TLS: the administrator's certificate, a service account's token, nobody."""

from __future__ import annotations

import base64
import json
import ssl
import stat
import urllib.error
import urllib.request

import pytest

from kubesim.errors import UserError
from kubesim.http.kubeconfig import write_kubeconfig
from kubesim.http.served import ServedCluster, bind


@pytest.fixture(scope="module")
def served():
    """A cluster over TLS."""
    with ServedCluster(nodes=1) as cluster:
        yield cluster


@pytest.fixture
def ask(served, tmp_path):
    """Ask with or without the administrator's certificate; gives code and JSON."""

    def send(path, *, is_admin, bearer="", body=None, impersonated=""):
        config = served.kubeconfig
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        if is_admin:
            user = config["users"][0]["user"]
            pem = tmp_path / "client.pem"
            pem.write_bytes(b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("key", "certificate")))
            context.load_cert_chain(pem)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        headers |= {"Impersonate-User": impersonated} if impersonated else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(served.url + path, data, headers)  # noqa: S310 - it is ours
        try:
            with urllib.request.urlopen(request, context=context, timeout=20) as response:  # noqa: S310
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    return send


WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def test_the_certificate_is_the_administrators(ask):
    """The kubeconfig's user is kubernetes-admin."""
    code, review = ask(WHO, is_admin=True, body={})

    assert (code, review["status"]["userInfo"]["username"]) == (201, "kubernetes-admin")


def test_a_service_accounts_token_is_its_own(ask):
    """A token that was asked for is taken, and says whose it is."""
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    _, made = ask(path, is_admin=True, body={})

    code, review = ask(WHO, is_admin=False, bearer=made["status"]["token"], body={})

    assert (code, review["status"]["userInfo"]["username"]) == (201, "system:serviceaccount:default:default")


def test_a_token_of_nobody_is_unauthorized(ask):
    """What is no token is a 401."""
    code, status = ask("/api/v1/nodes", is_admin=False, bearer="x.y.z")

    assert (code, status["reason"], status["message"]) == (401, "Unauthorized", "Unauthorized")


def test_nobody_in_particular_is_forbidden(ask):
    """Without credentials there is no resource, but a version."""
    code, status = ask("/api/v1/nodes", is_admin=False)

    assert code == 403
    assert status["message"].startswith('nodes is forbidden: User "system:anonymous" cannot ')
    assert ask("/version", is_admin=False)[1]["minor"] == "36"


@pytest.mark.parametrize("body", [None, {"paused": True}], ids=["asking", "setting"])
def test_nobody_in_particular_has_no_say_over_time(ask, body):
    """Nor over faults: what is the simulation's own needs credentials as a resource does."""
    code, status = ask("/kubesim/v1/time", is_admin=False, body=body)
    verb = "get" if body is None else "post"

    assert (code, status["reason"]) == (403, "Forbidden")
    assert status["message"] == f'forbidden: User "system:anonymous" cannot {verb} path "/kubesim/v1/time"'
    assert ask("/kubesim/v1/time", is_admin=True, body=body)[0] == 200


def test_who_is_known_may_be_another(ask):
    """The administrator can ask as anybody; who has no credentials cannot become somebody so."""
    _, review = ask(WHO, is_admin=True, body={}, impersonated="eve")
    code, status = ask("/api/v1/nodes", is_admin=False, impersonated="kubernetes-admin")

    assert review["status"]["userInfo"]["username"] == "eve"
    assert (code, status["message"].partition(": ")[2]) == (
        403,
        'User "system:anonymous" cannot impersonate resource "users" in API group "" at the cluster scope',
    )


def test_the_kubeconfig_is_for_its_owner_alone(served, tmp_path):
    """It is written with mode 0600, also over a file that others could read."""
    path = tmp_path / "deep" / "config"
    path.parent.mkdir()
    path.touch(mode=0o644)

    write_kubeconfig(path, served.kubeconfig)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_port_that_is_taken_is_the_users_to_mend(served):
    """The refusal names the port."""
    port = int(served.url.rpartition(":")[2])

    with pytest.raises(UserError, match=f"port {port}: address already in use; name another one, or 0 for any"):
        bind(port)
