"""Benchmarks: one command a figure, each beside its peer or physical limit measured in the same run.

``python -m bench`` names them; ``python -m bench all`` runs them one after the other. None asserts on time. All traffic
is on loopback, every process that is started is ended, every temporary folder is removed.
"""
