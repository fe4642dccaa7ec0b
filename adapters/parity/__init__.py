"""Parity: the same scenario on a real cluster and in the simulator, and whether both did the same.

A run is observed as its watch events and its calls' answers; a recording of a real run is kept in a file, so that it
can be compared with the simulator anywhere. Nothing is masked but what no two runs have in common.
"""
