"""This machine: status, benchmarks, resources."""
