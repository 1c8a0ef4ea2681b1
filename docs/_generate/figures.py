"""The pictures of `docs/figures.md`: what its own snippets draw.

    python -m docs._generate.figures     # writes docs/_static/figures

Of each snippet the last figure is written if the page shows it, under the name of the function that
drew it, with a number where one function draws several.
"""

import collections
import io
import os
import re
import tempfile
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

DOCS = Path(__file__).parents[1]
FIGURES = DOCS / "_static" / "figures"


def write(figure: Figure, path: Path) -> None:
    """Write a figure with few colors, so that the file is small."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    Image.open(buffer).convert("RGB").quantize(255).save(path, optimize=True)


def main() -> None:
    """Run the snippets of the page, and write the pictures that it shows."""
    page = (DOCS / "figures.md").read_text()
    drawn: collections.Counter[str] = collections.Counter()
    names: dict = {}
    FIGURES.mkdir(parents=True, exist_ok=True)
    os.chdir(tempfile.mkdtemp())  # where the page writes its own file
    for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(code, names)
        found = re.findall(r"figure = plots\.(\w+)\(", code)
        if not found:
            continue
        drawn[found[-1]] += 1
        number = drawn[found[-1]]
        name = f"{found[-1]}.png" if number == 1 else f"{found[-1]}_{number}.png"
        if f"figures/{name}" in page:
            write(names["figure"], FIGURES / name)


if __name__ == "__main__":
    main()
