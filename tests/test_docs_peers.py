"""Pages beside another library: its code and ours run in one namespace, and their checks hold.

A block that opens with ```python is ours, and one that opens with ```python torch needs PyTorch.
The first kind runs alone in the default suite, in `test_examples`.
"""

import pathlib
import re

import pytest

from docs._generate import differences

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning"),  # of Keras
]
DOCS = differences.DOCS


def blocks(page: pathlib.Path) -> list[tuple[str, str]]:
    """List the Python of a page as (library that it needs beside jnn, code)."""
    return re.findall(r"```python ?(\w*)\n(.*?)```", page.read_text(), flags=re.DOTALL)


BOTH = [page for page in sorted(DOCS.glob("*.md")) if any(library for library, _ in blocks(page))]


@pytest.mark.parametrize("page", BOTH, ids=[page.name for page in BOTH])
def test_both_sides_of_a_page_agree(page, monkeypatch, any_types):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    names: dict = {}
    for library, code in blocks(page):
        if library:
            pytest.importorskip(library)
        exec(code, names)


def test_there_are_such_pages():
    assert {page.name for page in BOTH} >= set(differences.PAGES)


@pytest.mark.parametrize("page", differences.PAGES)
def test_the_stated_defaults_change_numbers_as_stated(page, monkeypatch, any_types):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("keras" if "keras" in page else "torch")
    library, rows = differences.rows_of(page)
    for row in rows:
        if row.same:
            options = differences.arguments(row.same)
            assert differences.shown(row.ours(**options)) == differences.shown(row.theirs()), row
    text = (DOCS / page).read_text()
    written = differences.page_with(text, differences.table(library, rows))
    assert text == written, "run python -m docs._generate.differences"
