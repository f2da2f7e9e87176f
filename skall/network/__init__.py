"""The network: a trunk, a head, and how they are computed."""
