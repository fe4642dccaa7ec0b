"""How everything but the API server itself reaches the API: one client port, informers and work queues over it."""
