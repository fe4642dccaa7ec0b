"""Measurements. Each is a command of its own process, prints its figures (`--json`: as one object), and is no test."""
