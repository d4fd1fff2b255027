"""``python -m bench.flask_peer FILE PORT``: a threaded Flask service that serialises its jobs for every request."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from flask import Flask, Response, jsonify

from bench.processes import HOST


def main() -> None:
    """Serve the list in FILE until SIGTERM."""
    file, port = sys.argv[1:]
    stored = json.loads(Path(file).read_bytes())
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = Flask(__name__)

    def jobs() -> Response:
        return jsonify(stored)

    def ready() -> str:
        return ""

    app.add_url_rule("/api/jobs", view_func=jobs)
    app.add_url_rule("/ready", view_func=ready)
    app.run(HOST, int(port), threaded=True)


if __name__ == "__main__":
    main()
