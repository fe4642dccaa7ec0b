"""Ownership of fields: which manager owns which field of an object, and server-side apply, as pure functions."""
