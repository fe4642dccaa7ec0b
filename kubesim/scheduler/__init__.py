"""The default kube-scheduler profile: decides each Pod's node and binds it. Sees the cluster through informers only."""
