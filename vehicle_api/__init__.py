"""The vehicle service of the reference stack: an HTTP API over PostgreSQL that keeps nothing itself."""
