"""One stack on Kubernetes and on Docker Compose: the same users, the same faults at the same instants, side by side."""
