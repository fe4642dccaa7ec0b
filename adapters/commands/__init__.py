"""The commands: each reads its words, does its work through a connection or port, and prints what it did."""
