"""Show formulas as MathML, which browsers draw themselves, without a script from elsewhere."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

SPELLINGS = {  # of commands that docutils does not know
    r"\\([bB]ig+)(?![a-zA-Z])": r"\\\1l",
    r"\\[td]frac(?![a-zA-Z])\s*": r"\\frac ",
    r"\\dots(?![a-zA-Z])": r"\\ldots",
}
log = logging.getLogger(__name__)


def mathml(node: nodes.Node, *, as_block: bool) -> str:
    """Return a formula as MathML; one that cannot be read is a warning, which says where it is."""
    text = node.astext()
    for pattern, replacement in SPELLINGS.items():
        text = re.sub(pattern, replacement, text)
    try:
        return tex2mathml(text, as_block=as_block)
    except (MathError, SyntaxError, IndexError) as error:
        log.warning("formula: %s %s", error, node.astext(), location=node)
        return ""


def inline(writer: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    writer.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def block(writer: Any, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    writer.body.append(f'<div class="math">{mathml(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the renderer to Sphinx."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(inline, None), block_renderers=(block, None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
