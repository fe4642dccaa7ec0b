"""The API server: every write goes admission → defaulting → validation → strategy → store; every read is selected here.

Rules of values live in `kubesim.api`; what is here knows the stored world: namespaces that end, budgets, addresses.
"""
