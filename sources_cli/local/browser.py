"""Opens a page of this machine in the user's web browser."""

from __future__ import annotations

import os
import webbrowser

from sources_cli.local.objects import DISPLAY_MODULE

# They draw on the terminal, where `sources run` draws its table.
TEXT_BROWSERS = ("browsh", "elinks", "links", "lynx", "w3m", "www-browser")


def open_page(url: str | None) -> str | None:
    """What to tell the user if no browser was opened; None if one was. It may take some seconds.

    ``url`` is None if there is no page. ``$BROWSER`` chooses the browser (``webbrowser`` of Python).
    """
    if url is None:
        return f"--open: there is no page, because no Deployment in the files runs `python -m {DISPLAY_MODULE}`"
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return f"--open: no web browser was found; open {url} yourself, or set BROWSER"
    name = os.path.basename(getattr(browser, "name", ""))
    if name in TEXT_BROWSERS and not os.environ.get("BROWSER"):
        return f"--open: the only web browser is {name}, which needs a terminal of its own; open {url} yourself"
    if not browser.open(url):
        return f"--open: the web browser {name} failed; open {url} yourself"
    return None
