"""A neural-network library for the CPU."""
