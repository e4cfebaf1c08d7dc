"""Blocks that models share; forms tuned to a platform live here, each behind one function."""
