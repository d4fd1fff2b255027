"""The sources that the settings name, in their order."""

from __future__ import annotations

import httpx

from app.installs.archives import ArchiveLimits
from app.installs.source import Source
from app.installs.sources.farm import FarmSource, Givers
from app.installs.sources.packages import PythonPackages
from app.installs.sources.static_builds import StaticBuilds
from app.installs.sources.vendor_folder import VendorFolder
from app.settings import Settings
from engines.installs.blender_releases import RELEASE_URL


def configured_sources(settings: Settings, client: httpx.AsyncClient, givers: Givers = lambda: ()) -> list[Source]:
    """Build them. Nobody is asked yet.

    Args:
        settings: ``engine_sources`` is the order, ``engine_mirrors`` has the mirrors by name.
        client: who asks; it must carry no secrets, for it is used for everybody.
        givers: the other nodes of the farm that can be asked.
    """
    limits = ArchiveLimits(keep_free=settings.min_free_bytes)
    sources: list[Source] = []
    for name in settings.engine_sources:
        if name in settings.engine_mirrors:
            sources.append(VendorFolder(name, settings.engine_mirrors[name], client, limits))
        elif name == "blender.org":
            sources.append(VendorFolder(name, RELEASE_URL, client, limits))
        elif name == "farm":
            sources.append(FarmSource(name, givers, limits))
        elif name == "ffmpeg-builds":
            sources.append(StaticBuilds(name, client, limits))
        else:
            sources.append(PythonPackages(name, settings.min_free_bytes))
    return sources
