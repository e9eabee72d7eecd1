"""Chromium, as the tests that need one start it."""

import shutil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def launch(playwright):
    """Returns a headless browser that asks nothing of the network by itself."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
