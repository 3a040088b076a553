"""Benchmarks: one file a question, each next to the floor of its own run."""
