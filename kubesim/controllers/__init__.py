"""The control loops of kube-controller-manager. Each holds a client and listers, and touches the world only by requests."""
