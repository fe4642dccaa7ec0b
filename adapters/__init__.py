"""The same files on a real cluster: apply them, disturb them, measure them, and compare with what the simulator said.

What belongs here talks to a real API server through the official client, or compares what it said with the simulator.
Nothing in `kubesim` knows of it.
"""
