"""The control loops of kube-controller-manager. Each holds a client and listers, and acts only by requests."""
