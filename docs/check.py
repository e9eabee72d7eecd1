"""Opens every page of the built site from disk, with the network off: nothing may be missing.

python docs/check.py site

Needs Playwright and Chromium. Says what is wrong of which page, and exits with 1; or how many
pages were opened, and in which time.
"""

import contextlib
import re
import shutil
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from playwright.sync_api import Error, sync_playwright
from playwright.sync_api import TimeoutError as Late

LARGEST = 15e6  # bytes of the whole site
WORD, FOUND_IN = "reparameterization", ("03_variational_autoencoder", "05_the_elbo", "glossary")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# What a page says of itself once its formulas are drawn.
RAW_FORMULAS = """async () => {
  if (!document.querySelector(".math")) return 0;
  await MathJax.startup.promise;
  return [...document.querySelectorAll(".math")].filter(
    (math) => !math.querySelector("mjx-container svg") || math.querySelector("[data-mjx-error]")
  ).length;
}"""
BROKEN_PICTURES = """() => [...document.images].filter(
  (image) => image.loading !== "lazy" && !(image.complete && image.naturalWidth)
).map((image) => image.src)"""
SEARCHED = "document.querySelector('.search-summary')?.textContent.includes('finished')"
BACKGROUND = "() => getComputedStyle(document.body).backgroundColor"
HREFS = "all => all.map((a) => a.href)"
WIDER = "() => document.documentElement.scrollWidth - window.innerWidth"


class Site:
    """The site in a browser, and what was wrong."""

    def __init__(self, folder, browser):
        self.folder, self.faults = folder, []
        self.context = browser.new_context(viewport={"width": 1280, "height": 900})
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.say(f"an error: {error}"))
        self.page.on("request", self._watch)
        self.page.on("requestfailed", lambda request: self.say(f"not there: {request.url}"))

    def say(self, fault):
        self.faults.append(f"{self.name}: {fault}")

    def _hear(self, message):
        if message.type in ("error", "warning"):
            self.say(f"on the console: {message.text}")

    def _watch(self, request):
        if urlsplit(request.url).scheme not in ("file", "data", "blob", "about"):
            self.say(f"asks the network: {request.url}")

    def try_to(self, check, *arguments):
        """A page on which a check cannot be made is a fault, and the others are checked still."""
        try:
            check(*arguments)
        except Error as error:
            self.say(f"cannot be checked: {error}")

    def open(self, path, query=""):
        self.name = path.relative_to(self.folder).as_posix()
        self.page.goto(path.as_uri() + query)

    def check(self, path):
        self.open(path)
        if raw := self.page.evaluate(RAW_FORMULAS):
            self.say(f"{raw} formulas are not drawn")
        for source in self.page.evaluate(BROKEN_PICTURES):
            self.say(f"no picture: {source}")
        self.check_links(path)

    def check_links(self, path):
        """Finds links to files of the site, or places in them, that are not there."""
        for link in self.page.eval_on_selector_all("a[href]", HREFS):
            address, place = urldefrag(link)
            target = Path(unquote(urlsplit(address).path))
            if urlsplit(address).scheme != "file":
                continue
            if not target.is_file():
                self.say(f"a link to nothing: {link}")
            elif place and target.suffix == ".html" and unquote(place) not in ids_of(target):
                self.say(f"a link to no place there: {link}")

    def check_search(self):
        self.open(self.folder / "search.html", f"?q={WORD}")
        with contextlib.suppress(Late):
            self.page.wait_for_function(SEARCHED, timeout=9000)
        links = self.page.eval_on_selector_all("#search-results li a", HREFS)
        for name in FOUND_IN:
            if not any(name in link for link in links):
                self.say(f"the search for {WORD} does not find {name}")

    def check_dark(self):
        self.open(self.folder / "index.html")
        seen = set()
        for _ in range(3):
            seen.add(self.page.evaluate(BACKGROUND))
            self.page.locator("button.theme-toggle:visible").first.click()
        if len(seen) != 2:
            self.say(f"light and dark are {len(seen)} backgrounds: {sorted(seen)}")

    def check_explorers(self):
        """Follows the frames: their height, their dark, and that the decoder has drawn."""
        for path in sorted((self.folder / "explorers").glob("*-alone.html")):
            self.open(path.with_name(path.name.replace("-alone", "")))
            self.page.locator("iframe").scroll_into_view_if_needed()
            frame = self.page.frames[-1]
            frame.wait_for_function("window.vaeKeras")
            for theme, is_so in (("dark", ".dark"), ("light", ":not(.dark)")):
                self.page.evaluate(f"document.body.dataset.theme = '{theme}'")
                try:
                    frame.wait_for_selector(f".vae-keras{is_so}", timeout=3000)
                except Late:
                    self.say(f"the explorer does not turn {theme} with the page")
            rest = frame.evaluate("document.documentElement.scrollHeight - window.innerHeight")
            if rest > 1:
                self.say(f"the frame hides {rest} pixels of the explorer")

    def check_narrow(self, paths):
        self.page.set_viewport_size({"width": 390, "height": 844})
        for path in paths:
            self.open(path)
            if (wider := self.page.evaluate(WIDER)) > 0:
                self.say(f"{wider} pixels wider than a phone")


def ids_of(path, known={}):  # noqa: B006  it remembers
    if path not in known:
        known[path] = set(re.findall(r'\bid="([^"]*)"', path.read_text(encoding="utf-8")))
    return known[path]


def main(folder):
    started = time.perf_counter()
    folder = Path(folder).resolve()
    paths = sorted(folder.rglob("*.html"))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    with sync_playwright() as playwright:
        # None: the browser that Playwright has fetched itself.
        executable = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        site = Site(folder, browser)
        for path in paths:
            site.try_to(site.check, path)
        for check in (site.check_search, site.check_dark, site.check_explorers):
            site.try_to(check)
        site.try_to(site.check_narrow, paths)
        browser.close()
    if size > LARGEST:
        site.faults.append(f"{size / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}")
    for fault in site.faults:
        print(fault)
    seconds = time.perf_counter() - started
    print(f"{len(paths)} pages, {size / 1e6:.1f} MB, {len(site.faults)} faults, {seconds:.0f} s")
    return bool(site.faults) or not paths


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
