"""One rule of the default profile per module: its filter, its score and the events that may change its verdict."""
