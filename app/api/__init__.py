"""HTTP and nothing else: a router per noun, who may ask, how an error looks on the wire.

``build_api(settings, lifespan)`` gives the FastAPI application with every route; it opens nothing, so that the OpenAPI
document can be made without a service. :class:`app.api.front.Front` is what stands before it in the running service.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.api import (
    access,
    addons,
    content,
    debug,
    duty,
    engines,
    explain,
    frames,
    health,
    installs,
    jobs,
    lifecycle,
    node,
    openapi,
    outputs,
    page,
    pairing,
    peers,
    previews,
    uploads,
)
from app.api.errors import install_handlers
from app.api.permissions import OPENAPI_PATH, Permissions
from app.settings import Settings
from app.version import APP_VERSION

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

__all__ = ["build_api"]


def build_api(settings: Settings, lifespan: Lifespan | None = None) -> FastAPI:
    """Every route of this node; those for developers with ``settings.debug`` only.

    Args:
        lifespan: builds the parts and sets ``app.state.parts``; needed to answer, not to describe.
    """
    api = FastAPI(
        title="Zordon",
        version=APP_VERSION,
        description=openapi.DESCRIPTION,
        lifespan=lifespan,
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    install_handlers(api)
    # Those with fixed paths come before those whose path has a name in the same place.
    debugging = (debug,) if settings.debug else ()
    nouns = (
        page,
        access,
        jobs,
        explain,
        frames,
        outputs,
        previews,
        lifecycle,
        uploads,
        node,
        duty,
        peers,
        pairing,
        content,
        health,
        installs,
        engines,
        addons,
        *debugging,
    )
    for noun in nouns:
        api.include_router(noun.router)
    api.state.permissions = Permissions(
        [route for noun in nouns for route in noun.router.routes if isinstance(route, APIRoute)]
    )
    openapi.install(api)
    return api
