"""The site is built without a warning, and its links lead to places that exist."""

import pathlib
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

ROOT = pathlib.Path(__file__).parents[1]
pytestmark = pytest.mark.examples


class Page(HTMLParser):
    """The links of a page, and the names of the places on it."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places = set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.places.add(value)
            elif name in ("href", "src") and value:
                self.links.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for package in ("sphinx", "myst_parser", "furo", "sphinx_copybutton"):
        pytest.importorskip(package, reason="the site needs the extra 'docs'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(out)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return out


def test_every_link_within_the_site_leads_to_a_place_that_exists(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            if not target.exists() or (place and place not in pages[target].places):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert len(pages) > 30
    assert dead == []


def test_a_page_loads_nothing_from_elsewhere(site):
    for path in site.rglob("*.html"):
        text = path.read_text()
        assert '<script src="http' not in text, path
        assert '<link rel="stylesheet" type="text/css" href="http' not in text, path


def test_every_public_name_has_a_place(site):
    import jnn

    top, layers = Page(site / "api" / "jnn.html"), Page(site / "api" / "jnn.layers.html")
    assert {"jnn.run", "jnn.Study", "jnn.Result.predict"} <= top.places
    assert {f"jnn.layers.{name}" for name in jnn.layers.__all__} <= layers.places
