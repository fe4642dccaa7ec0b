"""The cluster on a socket: the API server behind HTTP, its clock paced by the wall, for kubectl and every other client.

Only here, beside `kubesim.processes`, are sockets and real time. Importing the package loads nothing; `aiohttp` and
`cryptography` come with `kubesim.http.serving`.
"""
