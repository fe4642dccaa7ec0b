"""Addresses and node ports that the API server gives out. Upstream: pkg/registry/core/service/storage/alloc.go @v1.36"""

import pytest

SERVICES = "/api/v1/namespaces/default/services"


def _service(world, name, **spec):
    body = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}
    return world.ask("POST", SERVICES, body)


def _port(number, name="a"):
    return {"port": 80, "name": name, "nodePort": number}


def test_addresses_are_different_and_from_the_upper_part_of_the_range(world):
    """The first 256 are left to those that are chosen by hand."""
    addresses = [_service(world, f"s{number}")[1]["spec"]["clusterIP"] for number in range(50)]

    assert len(set(addresses)) == 50
    assert all(address.startswith(("10.96.", "10.97.", "10.98.", "10.99.", "10.1")) for address in addresses)
    assert not any(address.startswith("10.96.0.") for address in addresses)


@pytest.mark.parametrize(
    "address, why",
    [
        ("10.96.0.1", "provided IP is already allocated"),
        ("1.2.3.4", "the provided network does not match the current range"),
        ("10.96.0.0", "the provided network does not match the current range"),
    ],
    ids=["taken", "of another network", "the network's own"],
)
def test_an_address_that_cannot_be_had_is_refused(world, address, why):
    """422 at spec.clusterIPs."""
    code, answer = _service(world, "s", clusterIP=address)

    assert code == 422
    assert answer["message"] == (
        f'Service "s" is invalid: spec.clusterIPs: Invalid value: ["{address}"]: failed to allocate IP {address}: {why}'
    )


@pytest.mark.parametrize("how", ["deleted", "renounced"])
def test_what_is_given_back_can_be_had_again(world, how):
    """By a delete, or by becoming a mere name."""
    _, first = _service(world, "a", type="NodePort", ports=[_port(30_000)], clusterIP="10.96.0.50")
    if how == "deleted":
        world.ask("DELETE", SERVICES + "/a")
    else:
        change = {"spec": {"type": "ExternalName", "externalName": "x.y", "clusterIP": None, "clusterIPs": None}}
        code, answer = world.ask("PATCH", SERVICES + "/a", change)
        assert (code, "clusterIP" in answer["spec"]) == (200, False), answer
    code, answer = _service(world, "b", type="NodePort", ports=[_port(30_000)], clusterIP="10.96.0.50")

    assert code == 200, answer
    assert answer["spec"]["clusterIP"] == first["spec"]["clusterIP"]


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "NodePort", "ports": [_port(30_000), {**_port(1), "port": 81, "name": "b"}]},
        {"ports": [{"port": 0}]},
        {"type": "NodePort", "ports": [_port(30_000)], "selector": {"not a key": "x"}},
    ],
    ids=["a port out of range", "an invalid port", "an invalid selector"],
)
def test_a_refused_service_takes_nothing(world, spec):
    """Its address and ports stay free."""
    assert _service(world, "s", clusterIP="10.96.0.50", **spec)[0] == 422
    code, answer = _service(world, "t", clusterIP="10.96.0.50", type="NodePort", ports=[_port(30_000)])

    assert code == 200, answer


def test_a_dry_run_takes_nothing(world):
    """But shows what could have been."""
    body = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "clusterIP": "10.96.0.50"}}
    code, answer = world.ask("POST", SERVICES + "?dryRun=All", body)
    assert (code, answer["spec"]["clusterIPs"]) == (200, ["10.96.0.50"])

    assert world.ask("POST", SERVICES, body)[0] == 200


def test_a_node_port_is_one_service_s_own_per_protocol(world):
    """TCP and UDP of one number are two."""
    _service(world, "a", type="NodePort", ports=[_port(30_000)])
    code, answer = _service(world, "b", type="NodePort", ports=[_port(30_000)])
    assert code == 422
    assert answer["message"] == (
        'Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 30000: provided port is already allocated'
    )

    assert _service(world, "c", type="NodePort", ports=[{**_port(30_000), "protocol": "UDP"}])[0] == 200


def test_an_update_keeps_what_the_service_has(world):
    """Address and port stay, although the client left them out."""
    _, before = _service(world, "s", type="NodePort")
    code, after = world.ask(
        "PUT", SERVICES + "/s", {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    )

    assert code == 200, after
    assert after == before


def test_one_without_a_name_is_refused(world):
    """A real server finds that out from the address object that it cannot name, as in a recorded request."""
    code, answer = world.ask("POST", SERVICES, {"metadata": {}, "spec": {"ports": [{"port": 80}]}})

    assert code == 422
    assert answer["message"].endswith(" is invalid: spec.parentRef.name: Required value")


def test_an_address_that_may_not_change_is_not_looked_up(world):
    """As recorded: it is refused as a change, wherever it lies, and stays whose it was."""
    _, other = _service(world, "other")
    _service(world, "s")
    for address in ("8.8.8.8", other["spec"]["clusterIP"]):
        spec = {"clusterIP": address, "clusterIPs": [address], "ports": [{"port": 80}]}
        code, answer = world.ask("PUT", SERVICES + "/s", {"metadata": {"name": "s"}, "spec": spec})
        expected = f'spec.clusterIPs[0]: Invalid value: ["{address}"]: may not change once set'

        assert (code, answer["message"]) == (422, f'Service "s" is invalid: {expected}')
    spec = {"clusterIP": other["spec"]["clusterIP"], "ports": [{"port": 80}]}
    code, answer = world.ask("POST", SERVICES, {"metadata": {"name": "third"}, "spec": spec})
    assert answer["message"].endswith("provided IP is already allocated")
