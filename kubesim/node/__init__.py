"""The kubelet, one per node, and the container runtime under it.

The kubelet's own decisions (`plan`, `status`, `status_patch`, `backoff`, `admission`, `env`) are pure. Everything that
it asks of containers goes through the `Runtime` protocol, so that simulated processes and real ones can be exchanged.
"""
