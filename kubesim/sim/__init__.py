"""Virtual time, choices and the record of what happened. Knows nothing of Kubernetes; imports nothing of kubesim."""
