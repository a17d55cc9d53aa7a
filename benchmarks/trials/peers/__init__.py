"""Peers on the same work, each in the way its own documentation shows."""
