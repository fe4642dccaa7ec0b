"""Pure Kubernetes semantics: values in and out. No store, no clock, no I/O; no state but caches of pure functions."""
