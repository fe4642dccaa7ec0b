"""What runs inside a simulated container: small models of programs over virtual time, and the catalogue of them."""
