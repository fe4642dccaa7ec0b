"""The data plane: addresses, connections, each node's view of Services, and names. Knows Pods only by their address."""
