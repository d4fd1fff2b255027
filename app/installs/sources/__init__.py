"""Those who offer engine versions, each behind :class:`app.installs.source.Source`."""

from app.installs.sources.packages import PythonPackages
from app.installs.sources.static_builds import StaticBuilds
from app.installs.sources.vendor_folder import VendorFolder

__all__ = ["PythonPackages", "StaticBuilds", "VendorFolder"]
