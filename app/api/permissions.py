"""Which role each operation asks for: one table, for the guard, for the OpenAPI document and for the tests.

The guard asks before any routing, with the routes' own patterns in the routes' own order, so that it can only come to
the same route as the router does. What is not in the table is for administrators: forgetting an entry opens nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi.routing import APIRoute

from client.models import Role

OPENAPI_PATH: Final = "/api/openapi.json"

ROLES: Final[Mapping[str, Role | None]] = {
    # Open to everybody.
    "get_start_page": None,
    "get_page_file": None,
    "heartbeat": None,
    "login": None,
    "get_health": None,
    "get_readiness": None,  # and says why only to whoever shows a token
    "hello": None,  # other nodes, which prove themselves in what they say
    "exchange_pairing": None,
    # Looking.
    "get_openapi": Role.READ,
    "get_jobs": Role.READ,
    "long_poll_jobs": Role.READ,
    "get_events": Role.READ,
    "get_jobs_by_status": Role.READ,
    "get_job": Role.READ,
    "explain_job": Role.READ,
    "get_job_frames": Role.READ,
    "get_frame_preview": Role.READ,
    "check_frames": Role.READ,
    "get_job_logs": Role.READ,
    "get_job_files": Role.READ,
    "get_job_manifest": Role.READ,
    "download_job_file": Role.READ,
    "download_all_job_files": Role.READ,
    "get_job_thumbnail": Role.READ,
    "get_status": Role.READ,
    "get_node_load": Role.READ,
    "get_metrics": Role.READ,
    "get_snapshot": Role.READ,
    "get_full_status": Role.READ,
    "get_nodes": Role.READ,
    "get_presets": Role.READ,
    "get_engines": Role.READ,
    "get_engine_names": Role.READ,
    "get_engine": Role.READ,
    "get_engine_availability": Role.READ,
    "get_engine_args": Role.READ,
    "get_engine_help": Role.READ,
    "get_engine_for_filename": Role.READ,
    "get_available_engines": Role.READ,
    "is_engine_available_to_download": Role.READ,
    "get_most_recent_engine_version": Role.READ,
    "get_blender_addon": Role.READ,
    "get_installs": Role.READ,
    "get_install": Role.READ,
    "whoami": Role.READ,
    "logout": Role.READ,
    # Rendering. Of other people's jobs, see app.api.who.check_is_own.
    "add_job": Role.SUBMIT,
    "add_upload": Role.SUBMIT,
    "get_uploads": Role.SUBMIT,
    "get_upload": Role.SUBMIT,
    "send_upload": Role.SUBMIT,
    "delete_upload": Role.SUBMIT,
    "inspect_upload": Role.SUBMIT,
    "cancel_job": Role.SUBMIT,
    "retry_job": Role.SUBMIT,
    "edit_job": Role.SUBMIT,
    # Another node of the farm.
    "update_subjob": Role.PEER,
    "beat": Role.PEER,
    "bye": Role.PEER,
    "delete_job": Role.PEER,  # what it has submitted itself; of everybody's, an administrator
    "prepare": Role.PEER,
    "get_content_tree": Role.PEER,
    "get_content_blob": Role.PEER,
    "get_engine_archive": Role.PEER,
    # What cannot be undone, costs the machine, or gives rights away.
    "pause_node": Role.ADMIN,
    "resume_node": Role.ADMIN,
    "change_node": Role.ADMIN,
    "run_cpu_benchmark": Role.ADMIN,
    "run_disk_benchmark": Role.ADMIN,
    "download_engine": Role.ADMIN,
    "cancel_install": Role.ADMIN,
    "delete_engine_download": Role.ADMIN,
    "prune_engines": Role.ADMIN,
    "get_tokens": Role.ADMIN,
    "add_token": Role.ADMIN,
    "revoke_token": Role.ADMIN,
    "make_login_code": Role.ADMIN,
    "get_detected_clients": Role.ADMIN,
    "clear_history": Role.ADMIN,
    "forget_node": Role.ADMIN,
    "get_pairing": Role.ADMIN,
    "offer_pairing": Role.ADMIN,
    "withdraw_pairing": Role.ADMIN,
    "join_farm": Role.ADMIN,
}
"""The least role by operation id; None: no token is asked for."""

UNNOTED: Final = frozenset({"check_frames", "hello", "beat", "exchange_pairing", "prepare"})
"""Operations that change nothing although their method could: the audit does not tell of them."""

_REMEMBERED: Final = 2048
_LONGEST: Final = 100


@dataclass(frozen=True, slots=True)
class Permission:
    """What a request is, and the least role for it. ``operation`` is empty if there is no such route."""

    operation: str
    role: Role | None
    pattern: re.Pattern[str] | None = None

    def subject(self, path: str) -> dict[str, str]:
        """What the path names, such as the id of a job, by the names in the route's own path."""
        found = self.pattern.match(path) if self.pattern is not None and self.pattern.groups else None
        return {} if found is None else {name: value[:_LONGEST] for name, value in found.groupdict().items()}


_NO_ROUTE: Final = Permission("", Role.READ)
"""Whoever has a token is told that there is no such route, or not with that method."""


def role_of(operation: str) -> Role | None:
    """The least role for an operation; None: it is open to everybody."""
    return ROLES.get(operation, Role.ADMIN)


class Permissions:
    """Finds what a request asks for.

    Args:
        routes: every declared route, in the order in which the router tries them.
    """

    def __init__(self, routes: Sequence[APIRoute]) -> None:
        self._routes = [
            (route.methods or set(), route.path_regex, Permission(name, role_of(name), route.path_regex))
            for route in routes
            if (name := route.operation_id or route.name)
        ]
        self.open_paths = frozenset(route.path for route in routes if role_of(route.operation_id or route.name) is None)
        self.open_folders = tuple(path.partition("{")[0] for path in self.open_paths if "{" in path)
        """Beginnings of paths below which everything is open."""
        self._known: dict[tuple[str, str], Permission] = {}

    def of(self, method: str, path: str) -> Permission:
        """The operation behind a method and a path."""
        key = (method, path)
        found = self._known.get(key)
        if found is None:
            found = self._find(method, path)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = found
        return found

    def is_open(self, method: str, path: str) -> bool:
        """Whether no token is asked for; of what there is no route for below an open path, neither."""
        found = self.of(method, path)
        return found.role is None or not found.operation

    def methods(self, path: str) -> set[str]:
        """Every method of the path that a request's path is, a fixed one before one with names in it; the router itself
        tells those of the first route only."""
        first = next((pattern for _, pattern, _ in self._routes if pattern.match(path)), None)
        return {method for methods, pattern, _ in self._routes if pattern == first for method in methods}

    def _find(self, method: str, path: str) -> Permission:
        if path == OPENAPI_PATH:
            return Permission("get_openapi", role_of("get_openapi"))
        for methods, pattern, permission in self._routes:
            if method in methods and pattern.match(path):
                return permission
        return _NO_ROUTE
