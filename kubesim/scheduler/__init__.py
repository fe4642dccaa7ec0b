"""The default kube-scheduler profile: decides the node of each Pod and binds it. Sees the cluster through informers only."""
