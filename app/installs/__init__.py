"""Fetches engine versions, and looks after those that it has fetched.

A source offers releases; a release is downloaded or asked of pip, checked, unpacked beside its place, proven by a tiny
render, and only then renamed into ``<data>/engines/<engine>/<version>``.
"""
