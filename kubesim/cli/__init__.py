"""The command line: what a user types, and what comes out. Nothing below knows of terminals.

`main.py` reads the words and must stay light: a command imports what it needs when it is chosen.
"""
