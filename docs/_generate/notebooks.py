"""Make the notebooks of the course from its scripts, with their figures.

    JNN_DATA=... python -m docs._generate.notebooks [01_neuron ...]

Each script of examples/course is run in full, and becomes a notebook in examples/notebooks. One
whose code has not changed is not run again, unless it is named.
"""

import argparse
import base64
import io
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
LESSONS = ROOT / "examples" / "course"
NOTEBOOKS = ROOT / "examples" / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
COLORS = 64  # of a figure in a notebook; fewer make smaller files


def read(script: Path) -> nbformat.NotebookNode:
    """Return the notebook of a script, without outputs; its cells have numbers for names."""
    notebook = jupytext.read(script)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return the cells that hold code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def take_outputs(notebook: nbformat.NotebookNode, path: Path) -> bool:
    """Take the outputs of a saved notebook of the same code, and return whether it is there."""
    saved = nbformat.read(path, as_version=4) if path.exists() else None
    sources = [cell.source for cell in code_cells(notebook)]
    if saved is None or [cell.source for cell in code_cells(saved)] != sources:
        return False
    for cell, old in zip(code_cells(notebook), code_cells(saved), strict=True):
        cell.outputs, cell.execution_count = old.outputs, old.execution_count
    return True


def run(notebook: nbformat.NotebookNode) -> None:
    """Run the cells in place, and keep what they print and draw."""
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute(cwd=str(ROOT))
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times of this run
        for output in cell.get("outputs", []):
            image = output.get("data", {}).get("image/png")
            if image:
                output.data = nbformat.from_dict({"image/png": smaller(image)})


def smaller(image: str) -> str:
    """Return a picture in base64 with fewer colors."""
    from PIL import Image

    out = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(image))).convert("RGB")
    picture.quantize(COLORS).save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def main() -> None:
    """Write the notebooks of the named lessons, or of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lessons", nargs="*", help="names such as 01_neuron; all by default")
    named = parser.parse_args().lessons
    NOTEBOOKS.mkdir(exist_ok=True)
    for name in named or [path.stem for path in sorted(LESSONS.glob("*.py"))]:
        notebook, path = read(LESSONS / f"{name}.py"), NOTEBOOKS / f"{name}.ipynb"
        if named or not take_outputs(notebook, path):
            print(name)
            run(notebook)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
