"""Writes client/web/src/api/schema.ts, the types of the API as the page knows them, from our OpenAPI document.

``python scripts/make_page_types.py`` after a change of the API; a test says so when it was forgotten.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from app.api import build_api
from app.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "client" / "web"
TYPES = WEB / "src" / "api" / "schema.ts"


def make_types(node: Path, folder: Path) -> str:
    """The types as TypeScript.

    Args:
        node: runs openapi-typescript, which is in ``node_modules``.
        folder: for files on the way.
    """
    document = build_api(load_settings(data_dir=folder / "none", debug=True)).openapi()
    told, types = folder / "openapi.json", folder / "schema.ts"
    told.write_text(json.dumps(document))
    tool = WEB / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
    done = subprocess.run(
        [node, tool, told, "-o", types, "--default-non-nullable=false"],
        capture_output=True,
        text=True,
        check=False,
        cwd=WEB,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
    return types.read_text(encoding="utf-8")


def main() -> None:
    """Write them."""
    sys.path.insert(0, str(WEB))
    import build

    node = build.find_node()
    if node is None:
        sys.exit("There is no Node here.")
    build.install_packages(node, for_tests=True)
    with tempfile.TemporaryDirectory() as folder:
        TYPES.write_text(make_types(node, Path(folder)), encoding="utf-8")


if __name__ == "__main__":
    main()
