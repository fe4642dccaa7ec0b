"""Docker Compose on one host, in virtual time: what dockerd and `docker compose` do when things break.

The same loop, network, programs and users as the simulated cluster's; nothing of Kubernetes. Sources that docstrings
cite: moby is https://github.com/moby/moby at v28, compose is https://github.com/docker/compose at v2, compose-spec is
https://github.com/compose-spec/compose-spec, docs are the pages under https://docs.docker.com.
"""
