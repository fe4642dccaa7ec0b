"""The public test kit: objects to begin with, a pytest fixture, and checks on the simulator itself.

What belongs here serves those who test against a cluster; nothing in the simulator imports it. The package itself
imports nothing: every pytest run on a machine where kubesim is installed loads `kubesim.testing.plugin`.
"""
