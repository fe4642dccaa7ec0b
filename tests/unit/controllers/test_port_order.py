"""The order of ports: Go's dumps and their hashes, reproduced."""

import pytest

from kubesim.controllers import port_order
from kubesim.controllers.port_order import fnv128a, in_endpoints_order, in_slice_order

HTTP = {"name": "http", "port": 8080, "protocol": "TCP"}
EXTRA = {"name": "extra", "port": 9090, "protocol": "TCP"}
DNS = {"name": "dns", "port": 53, "protocol": "UDP"}
DNS_TCP = {"name": "dns-tcp", "port": 53, "protocol": "TCP"}
ADDRESS = {
    "ip": "10.0.0.1",
    "nodeName": "n1",
    "targetRef": {"kind": "Pod", "namespace": "ns", "name": "p", "uid": "u-1"},
}


# Printed by a Go program that calls k8s.io/utils/dump.ForHash and hash/fnv.New128a on the same values.
@pytest.mark.parametrize(
    "dumped, expected",
    [
        pytest.param(port_order._slice_port(HTTP), "0e874d5677090ee5c32afa85f637c347", id="a port of a slice"),
        pytest.param(
            port_order._slice_port({"name": "", "port": 9090, "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"}),
            "02194b8461277d529c00c9f1f9cf15e0",
            id="a port of a slice without name and with an application protocol",
        ),
        pytest.param(
            "(v1.EndpointPort)" + port_order._endpoints_port(HTTP),
            "25304a33da9e6ece350a4142a45f5b75",
            id="a port of Endpoints",
        ),
        pytest.param(
            "(v1.EndpointPort)" + port_order._endpoints_port({"port": 8080, "protocol": "TCP", "appProtocol": "x"}),
            "48b86262cf0483c207e57ecd6d6ea660",
            id="a port of Endpoints without name and with an application protocol",
        ),
        pytest.param(
            port_order._subset(
                {
                    "addresses": [ADDRESS],
                    "ports": [{"name": "a", "port": 1, "protocol": "TCP"}, {"port": 2, "protocol": "UDP"}],
                }
            ),
            "0ab1e2bed57a4d592d35e1e537f11d07",
            id="a subset of ready addresses",
        ),
        pytest.param(
            port_order._subset({"notReadyAddresses": [{"ip": "10.0.0.1", "hostname": "h"}, {"ip": "10.0.0.2"}]}),
            "b016432c190ec3bac619de80f4ba680f",
            id="a subset of addresses that are not ready, without ports",
        ),
    ],
)
def test_hash_of_dump(dumped, expected):
    """A dump hashes to what Go computes for the same value."""
    assert f"{fnv128a(dumped):032x}" == expected


@pytest.mark.parametrize(
    "order, ports",
    [
        # Recorded on a real 1.36.3 cluster: Service `cluster` of the Services recording, and its own kube-dns.
        pytest.param(in_slice_order, [HTTP, EXTRA], id="http before extra in a slice"),
        pytest.param(in_endpoints_order, [HTTP, EXTRA], id="http before extra in Endpoints"),
        pytest.param(in_slice_order, [DNS, DNS_TCP], id="dns before dns-tcp in a slice"),
        pytest.param(in_endpoints_order, [DNS_TCP, DNS], id="dns-tcp before dns in Endpoints"),
    ],
)
def test_recorded_order(order, ports):
    """Ports come in the order in which a real cluster lists them, whatever order they are given in."""
    assert order(ports) == ports
    assert order(ports[::-1]) == ports
