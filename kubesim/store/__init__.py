"""The revisioned store under the API server, and the watches over it. Knows objects and revisions, no rules of them."""
