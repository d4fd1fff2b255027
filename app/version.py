"""The versions that every answer carries."""

from __future__ import annotations

APP_VERSION = "0.1.0"
API_VERSION = "0.1"
"""Sent as ``X-API-Version``; a client of another major version (before the dot) is refused."""
