"""Those who use what runs in the cluster, and the account of how they were served. They see it from outside only."""
