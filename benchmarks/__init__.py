"""Measurements. Each is a command of its own process, prints one JSON object, and is never run as a test."""
