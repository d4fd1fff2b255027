"""Tokens and sessions for the tests of who may do what: made once for each application and role."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from app.access.access import Access
from client.models import Login, NewToken, Role
from tests.api.conftest import TOKEN, Api

_TOKENS: WeakKeyDictionary[Api, dict[Role, str]] = WeakKeyDictionary()
_SESSIONS: WeakKeyDictionary[Api, str] = WeakKeyDictionary()


async def token_of(api: Api, role: Role) -> dict[str, str]:
    """The headers of somebody with this role."""
    if role is Role.ADMIN:
        return {"Authorization": f"Bearer {TOKEN}"}
    known = _TOKENS.setdefault(api, {})
    if role not in known:
        tokens = api.parts.access.tokens
        _, known[role] = await tokens.add(NewToken(name=f"a {role.value} token", role=role), tokens.first)
    return {"Authorization": f"Bearer {known[role]}"}


async def session_of(api: Api) -> dict[str, str]:
    """The headers of a browser that was let in."""
    access: Access = api.parts.access
    if api not in _SESSIONS or access.tokens.of_session(_SESSIONS[api].encode()) is None:
        begun = await access.login(Login(code=access.browser_code()))
        assert begun is not None
        _SESSIONS[api] = begun[1]
    return {"Cookie": f"{access.cookie}={_SESSIONS[api]}"}
