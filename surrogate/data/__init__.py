"""Simulations on disk."""
