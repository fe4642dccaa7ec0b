"""Pure Kubernetes semantics: values in, values out. No store, no clock, no I/O, no state but caches of pure functions."""
