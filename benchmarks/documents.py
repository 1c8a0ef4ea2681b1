"""Write the generated blocks of README.md and docs/*.md, and the plots, from the committed records.

A block stands between `<!-- benchmarks: NAME -->` and `<!-- end -->`; `blocks.py` makes its text.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks import plots, record
from benchmarks.blocks import BLOCKS
from benchmarks.process import ROOT
from benchmarks.record import Records
from benchmarks.suites import SUITES

_BLOCK = re.compile(r"(<!-- benchmarks: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def write() -> None:
    """Write the blocks of all documents, and draw the plots."""
    records = committed_records()
    for path in documents():
        path.write_text(fill(path.read_text(), records, prefix=link_prefix(path)))
    plots.draw(records, record.RESULTS)


def documents() -> list[Path]:
    """Return the documents that have blocks."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
    return [path for path in paths if _BLOCK.search(path.read_text())]


def link_prefix(path: Path) -> str:
    """Return what leads from the folder of a document to the root of the repository."""
    return "../" * (len(path.relative_to(ROOT).parts) - 1)


def committed_records() -> dict[str, Records]:
    """Return the records of every suite, of counters those of the baseline.

    A suite that was not run has none.
    """
    records: dict[str, Records] = {}
    for suite in SUITES:
        name = "baseline" if suite == "counters" else suite
        path = record.RESULTS / f"{name}.jsonl"
        records[suite] = record.load(path) if path.exists() else []
    return records


def fill(text: str, records: Mapping[str, Records], *, prefix: str = "") -> str:
    """Return the text with its blocks made from the records.

    Args:
        text: Text of a document.
        records: Records of every suite.
        prefix: What links of the blocks, which start at the root, get in front.

    Raises:
        ValueError: For a block that `blocks.py` does not make.
    """

    def fill_one(match: re.Match[str]) -> str:
        head, name, _, end = match.groups()
        if name not in BLOCKS:
            raise ValueError(
                f"Blocks must be one of {sorted(BLOCKS)}, got {name!r}. Rename it in the document."
            )
        block = BLOCKS[name](records).replace("](", f"]({prefix}")
        return f"{head}{block}\n{end}"

    return _BLOCK.sub(fill_one, text)
