"""The page with 10,000 jobs in Chromium: first paint, first rows, scrolling, memory; beside a bare page.

The bare page has the same names in a list and nothing else, and comes from Python's own HTTP server.
"""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import shutil
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure, Options, Report, median, run
from bench.filling import fill
from bench.processes import zordon

if TYPE_CHECKING:
    from playwright.sync_api import Page

GOAL_KB = 300.0
ROUNDS = 5
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
PAGE = Path(__file__).resolve().parents[1] / "app" / "page"

_PAINT = """() => new Promise(resolve => new PerformanceObserver(list => {
  const paint = list.getEntries().find(entry => entry.name === 'first-contentful-paint');
  if (paint) resolve(paint.startTime);
}).observe({type: 'paint', buffered: true}))"""
STEPS = 120
FEW = 200
"""With so few jobs the same is scrolled: what it costs must not depend on how many there are."""
_SCROLL = """async () => {
  const scroller = document.querySelector('.scroller') ?? document.scrollingElement, gaps = [];
  // To and fro in the first 9,000 pixels, which a list of 200 has too: at its end, scrolling would cost nothing.
  let before = performance.now(), step = 1500;
  for (let at = 0; at < 120; at++) {
    if (scroller.scrollTop + step > 9000 || scroller.scrollTop + step < 0) step = -step;
    scroller.scrollTop += step;
    await new Promise(resolve => requestAnimationFrame(resolve));
    const now = performance.now();
    gaps.push(now - before);
    before = now;
  }
  gaps.sort((a, b) => a - b);
  return [gaps[60], gaps[114]];
}"""


def measure(options: Options, report: Report) -> None:
    """Weight, paint, scrolling, memory."""
    from playwright.sync_api import sync_playwright

    report(_weight())
    jobs = 200 if options.quick else 10_000
    data = options.folder / "page"
    fill(data, jobs)
    few = options.folder / "few"
    fill(few, FEW)
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("there is no Chromium here")
    with zordon(data) as server, _bare(options.folder / "bare", jobs) as bare, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, "--enable-precise-memory-info"])
        here = f"http://127.0.0.1:{server.port}"

        def opened(address: str, *, let_in: bool) -> tuple[Page, float, float]:
            """A page, when it painted first, and when the last of what was asked for was seen, in ms."""
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            if let_in:
                page.goto(f"{here}/#code={_code(here, server.headers)}")
                page.wait_for_selector("[role=row].job")
            page.goto("about:blank")
            page.goto(address)
            paint: float = page.evaluate(_PAINT)
            page.wait_for_selector("[role=row].job" if let_in else "li")
            shown: float = page.evaluate("performance.now()")
            return page, paint, shown

        ours: list[tuple[float, float]] = []
        peers: list[tuple[float, float]] = []
        for _ in range(1 if options.quick else ROUNDS):
            page, paint, shown = opened(f"{here}/", let_in=True)
            ours.append((paint, shown))
            page.context.close()
            page, paint, shown = opened(bare, let_in=False)
            peers.append((paint, shown))
            page.context.close()
        what = f"with {jobs:,} jobs"
        report(
            Figure(
                "first paint",
                "ms",
                median([one[0] for one in ours]),
                median([one[0] for one in peers]),
                "a bare page with the same names",
            )
        )
        report(
            Figure(
                f"first rows {what}",
                "ms",
                median([one[1] for one in ours]),
                median([one[1] for one in peers]),
                "a bare page with the same names",
            )
        )
        page, _, _ = opened(f"{here}/", let_in=True)
        work, (middle, slow) = _scrolled(page)
        heap: float = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        rows = page.locator("[role=row]").count()
        other, _, _ = opened(bare, let_in=False)
        bare_middle, bare_slow = other.evaluate(_SCROLL)
        bare_heap: float = other.evaluate("performance.memory.usedJSHeapSize") / 1e6
        name = "a bare list of the same names"
        report(Figure(f"scrolling {what}, between two pictures, median", "ms", middle, bare_middle, name))
        report(Figure(f"scrolling {what}, between two pictures, p95", "ms", slow, bare_slow, name))
        report(Figure(f"JavaScript memory {what}", "MB", heap, bare_heap, name, note=f"{rows} rows in the page"))
        page.context.close()
        with zordon(few) as server:
            here = f"http://127.0.0.1:{server.port}"
            page, _, _ = opened(f"{here}/", let_in=True)
            work_few, _ = _scrolled(page)
        name = f"the same with {FEW} jobs"
        report(Figure(f"scrolling {what}, work of the page's thread a picture", "ms", work, work_few, name))
        browser.close()


def _scrolled(page: Page) -> tuple[float, tuple[float, float]]:
    """Milliseconds of work of the page's thread a picture, whatever else is at work; median and p95 between two.

    The work is Chromium's ``TaskDuration``: scripts, styles, layout and painting.
    """
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        told: list[dict[str, str | float]] = session.send("Performance.getMetrics")["metrics"]
        return sum(float(one["value"]) for one in told if one["name"] == "TaskDuration")

    before = seconds()
    middle, slow = page.evaluate(_SCROLL)
    return (seconds() - before) * 1000 / STEPS, (middle, slow)


def _weight() -> Figure:
    index = (PAGE / "index.html").read_text(encoding="utf-8")
    first = [path for path in (PAGE / "assets").iterdir() if f"/assets/{path.name}" in index]
    size = sum(len(gzip.compress(path.read_bytes(), 9)) for path in first) / 1000
    return Figure("first screen, compressed", "KB", size, goal=f"≤ {GOAL_KB:g} KB", reached=size <= GOAL_KB)


def _code(here: str, headers: Mapping[str, str]) -> str:
    asked = urllib.request.Request(f"{here}/api/login_code", method="POST", headers=dict(headers))
    with urllib.request.urlopen(asked) as answer:
        code: str = json.load(answer)["code"]
    return code


@contextmanager
def _bare(folder: Path, jobs: int) -> Iterator[str]:
    """A page with the same names in a list and nothing else, from Python's own server."""
    folder.mkdir(parents=True)
    items = "".join(f"<li>shot_{number:05d}</li>" for number in range(jobs))
    (folder / "index.html").write_text(f"<!doctype html><title>bare</title><h1>Jobs</h1><ul>{items}</ul>")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    run("page", "the page with 10,000 jobs in Chromium", measure)
