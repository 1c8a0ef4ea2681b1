"""The examples reach their scores on a small budget; the code in the documentation runs."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import jnn

ROOT = pathlib.Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.examples
@pytest.mark.parametrize("script", sorted(p.name for p in (ROOT / "examples").glob("*.py")))
def test_an_example_reaches_its_score(script, tmp_path):
    completed = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), "--quick"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": ""},  # compiled as for users
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    assert "± 95 % interval" in completed.stdout


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


def test_the_study_of_the_readme_prints_the_settings_that_the_readme_shows(capsys, monkeypatch):
    (code,) = blocks(README, "python")
    monkeypatch.setattr(jnn, "use_cpu_cores", lambda: 4)  # the tests have started JAX already
    small = code.replace("jnn.seeds(10) * jnn.folds(5)", "jnn.seeds(2) * jnn.folds(2)")
    assert small != code
    exec(small, {})
    printed = capsys.readouterr().out
    (shown,) = blocks(README, "text")
    assert settings_in(printed) == settings_in(shown) != []


def settings_in(table):
    """The learning rates and weight decays of a printed summary."""
    return re.findall(r"│ +([\d.]+) │ +([\d.]+) │", table)


SHORT = ("data.md", "from_sklearn.md", "start.md")  # whose code runs in the default suite
WITH_CODE = [
    pytest.param(page, id=page.name, marks=[] if page.name in SHORT else pytest.mark.examples)
    for page in PAGES[1:]
    if blocks(page, "python")
]


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, monkeypatch, tmp_path, any_types):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jnn, "use_cpu_cores", lambda: 4)  # the tests have started JAX already
    families = jnn.recipes._families
    monkeypatch.setattr(families, "_FAMILIES", dict(families._FAMILIES))
    names: dict = {}
    for code in blocks(page, "python"):
        exec(code, names)


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_links_only_to_files_that_exist(page):
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for name in re.findall(r"\]\(([^)#:]+)\)", prose):
        assert (page.parent / name).exists(), name


def test_the_readme_is_one_page_and_has_the_two_commands():
    text = README.read_text()
    assert len(text.splitlines()) <= 130
    assert re.search(r"pip install -e .*jnn run digits$", text, flags=re.MULTILINE)
    assert re.search(r"pip install -e .* -m pytest$", text, flags=re.MULTILINE)
