"""The kubelet, one per node, and the container runtime under it.

The kubelet's own decisions (`plan`, `status`, `backoff`, `admission`, `env`, `status_patch`) are pure. Everything it asks
of containers goes through the `Runtime` protocol, so that simulated processes and real ones are exchangeable.
"""
