"""Objects as rows: the columns that the API server prints for every kind, for `kubectl get` and for a run's end.

Upstream: pkg/printers/internalversion/printers.go @v1.36
"""
