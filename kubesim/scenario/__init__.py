"""Scenarios: files of steps, disturbances and expectations, and their runs over any cluster that has a `Port`.

What belongs here knows of no terminal and, but for `simulated.py`, of no simulator.
"""
