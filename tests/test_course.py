"""The lessons run on a small budget, have the same parts, and are what their notebooks show."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
LESSONS = sorted((ROOT / "examples" / "course").glob("*.py"))
PARTS = [
    "## The idea",
    "## The derivation",
    "## From scratch",
    "## In jnn",
    "## Is this difference real?",
    "## Exercises",
    "### Exercise 1",
    "### Exercise 2",
    "### Exercise 3",
]
SOLUTION = '# %% tags=["hide-cell"]'

lessons = pytest.mark.parametrize("lesson", LESSONS, ids=[path.stem for path in LESSONS])


@lessons
def test_a_lesson_has_a_number_the_parts_of_all_lessons_and_solutions_that_check_themselves(lesson):
    text = lesson.read_text()
    title, *parts = re.findall(r"^# (#+ .*)$", text, flags=re.MULTILINE)
    assert title.startswith(f"# {int(lesson.stem[:2])}. ")
    assert parts == PARTS
    for exercise in re.split(r"^# ### Exercise", text, flags=re.MULTILINE)[1:]:
        _, _, solution = exercise.partition(SOLUTION)
        assert "assert" in solution


@pytest.mark.examples
@lessons
def test_a_lesson_holds_what_it_claims(lesson, tmp_path):
    completed = subprocess.run(
        [sys.executable, str(lesson), "--quick"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MPLBACKEND": "agg",
            "XLA_FLAGS": "",  # compiled as for users
        },
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr


@pytest.mark.examples
@lessons
def test_the_notebook_of_a_lesson_has_its_cells_and_what_they_print(lesson):
    for package in ("jupytext", "nbformat", "nbclient"):
        pytest.importorskip(package, reason="notebooks need the extra 'docs'")
    import nbformat

    from docs._generate import notebooks

    made = notebooks.read(lesson)
    saved = nbformat.read(notebooks.NOTEBOOKS / f"{lesson.stem}.ipynb", as_version=4)
    assert [(cell.cell_type, cell.source) for cell in saved.cells] == [
        (cell.cell_type, cell.source) for cell in made.cells
    ], "run `python -m docs._generate.notebooks` again"
    assert any(cell.get("outputs") for cell in saved.cells)


def test_every_notebook_has_a_lesson():
    notebooks = (ROOT / "examples" / "notebooks").glob("*.ipynb")
    assert {path.stem for path in notebooks} <= {path.stem for path in LESSONS}
