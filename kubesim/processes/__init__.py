"""Pods as real processes on this machine: the simulator's controllers, scheduler and kubelets, paced by the wall clock.

The one package with real sockets, real time and child processes. `stack.py` puts everything together; what it gives a
node's kubelet satisfies the same `Runtime` and `Network` protocols as the simulated ones.
"""
