"""Lowering to Compute Engine."""
