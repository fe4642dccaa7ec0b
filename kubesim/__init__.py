"""A deterministic Kubernetes in one process."""
