"""A small sh for simulated containers: what people put into commands, probes and hooks, in virtual time.

`language` reads a script, `expansion` fills in its words, `interpreter` runs it as a generator that yields its waits,
`utilities` are the programs it finds, `files` what they read and write, `program` a container whose command it is.
Facts: POSIX.1-2024, Shell Command Language.
"""
