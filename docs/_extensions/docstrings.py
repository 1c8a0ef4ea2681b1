"""Show docstrings, which are Markdown with Google's sections, and link code to its API page."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from _extensions.public import Public
from docutils import nodes
from numpy.typing import ArrayLike
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

SECTION = re.compile(r"([A-Z][A-Za-z ]+):$")
ITEM = re.compile(r"(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*):(?: (.*))?$")
BULLET = re.compile(r"(-|\d+\.) ")
EQUATION = re.compile(r"\s(=|\+|-|/|\*|<|>|~|<=|>=|->)\s")
SHORT = {
    **{stringify_annotation(long, "smart"): short for long, short in [(ArrayLike, "ArrayLike")]},
    "~jaxlib._jax.Array": "Array",
    "jaxlib._jax.Array": "Array",
}
CODE = re.compile(r"(``?)(?!`)(.+?)\1(?!`)", re.DOTALL)


def inline(text: str) -> str:
    """Return Markdown prose as reStructuredText: code stays code, all else is literal."""
    parts, end = [], 0
    for match in CODE.finditer(text):
        parts.append(escaped(text[end : match.start()]))
        before = "\\ " if re.search(r"[\w)/]$", text[: match.start()]) else ""
        after = "\\ " if re.match(r"\w", text[match.end() :]) else ""
        parts.append(f"{before}``{' '.join(match[2].split())}``{after}")
        end = match.end()
    return "".join(parts) + escaped(text[end:])


def escaped(text: str) -> str:
    """Return text in which no character has a meaning for reStructuredText."""
    text = re.sub(r"([\\*|`])", r"\\\1", text)
    return re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)


def code(lines: list[str], language: str) -> list[str]:
    """Return a block of code."""
    return [f".. code-block:: {language}", "", *indented(lines), ""]


def indented(lines: list[str]) -> list[str]:
    """Return the lines four columns to the right."""
    return ["    " + line if line else "" for line in lines]


def dedented(lines: list[str]) -> list[str]:
    """Return the lines without their common margin."""
    return textwrap.dedent("\n".join(lines)).strip("\n").split("\n")


def is_python(lines: list[str]) -> bool:
    """Return whether the lines are Python."""
    try:
        ast.parse("\n".join(lines))
    except SyntaxError:
        return False
    return True


def table(lines: list[str]) -> list[str]:
    """Return a Markdown table as a list table."""
    cells = [
        [inline(cell.strip()) for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]
        for row in lines
        if not re.fullmatch(r"[\s|:-]+", row)
    ]
    out = [".. list-table::", "    :header-rows: 1", ""]
    for row in cells:
        marks = ["    * - ", *["      - "] * (len(row) - 1)]
        out += [(mark + cell).rstrip() for mark, cell in zip(marks, row, strict=True)]
    return [*out, ""]


class Converter:
    """The lines of one docstring, read from top to bottom."""

    def __init__(self, lines: list[str], parameters: set[str]):
        self.lines = [line.rstrip() for line in lines]
        self.parameters = parameters  # of the function or class, by their names

    def rst(self) -> list[str]:
        """Return the docstring in reStructuredText."""
        out: list[str] = []
        while self.lines:
            line = self.lines[0]
            section = SECTION.match(line)
            if not line:
                self.lines.pop(0)
                out.append("")
            elif section and len(self.lines) > 1 and self.lines[1].startswith(" "):
                self.lines.pop(0)
                out += ["", *self.section(section[1], self.take_indented())]
            elif line.startswith(" "):
                block = dedented(self.take_indented())
                out += ["", *code(block, "python" if is_python(block) else "text")]
            elif line.startswith(">>>"):
                out += ["", *self.take_paragraph(r".?"), ""]
            elif line.startswith("|") and re.match(r"\| *[:-]", "".join(self.lines[1:2])):
                out += ["", *table(self.take_paragraph(r"\|"))]
            elif bullet := BULLET.match(line):
                mark = bullet[0]
                self.lines[0] = " " * len(mark) + line[len(mark) :]
                item = self.inner(dedented(self.take_indented()))
                out += ["", mark + item[0], *(" " * len(mark) + line for line in item[1:])]
            else:
                out += self.prose(self.take_paragraph(r"[^\s]"))
        return out

    def take_indented(self) -> list[str]:
        """Take the lines that are indented, and the blank ones between them."""
        count = 0
        while count < len(self.lines) and (not self.lines[count] or self.lines[count][0] == " "):
            count += 1
        taken, self.lines = self.lines[:count], self.lines[count:]
        return taken

    def take_paragraph(self, start: str) -> list[str]:
        """Take the lines up to the next blank one, as long as they begin as given."""
        count = 1
        while count < len(self.lines) and self.lines[count] and re.match(start, self.lines[count]):
            if start != r"\|" and BULLET.match(self.lines[count]) and self.lines[0].endswith(":"):
                break
            count += 1
        taken, self.lines = self.lines[:count], self.lines[count:]
        return taken

    def inner(self, lines: list[str]) -> list[str]:
        """Return lines of an item, which hold no sections that matter, in reStructuredText."""
        out = Converter(lines, self.parameters).rst()
        while out and not out[0]:
            out.pop(0)
        return out or [""]

    def prose(self, lines: list[str]) -> list[str]:
        """Return a paragraph, or an equation as it stands."""
        if "jnn." in lines[0] and is_python(lines):
            return ["", *code(lines, "python")]
        if EQUATION.search(lines[0]) and not re.search(r"[.:!?`]$", lines[-1]):
            is_aligned = sum("   " in line for line in lines) > 1
            wraps = [] if is_aligned else ["    :class: equation"]
            return ["", ".. code-block:: text", *wraps, "", *indented(lines), ""]
        text = inline("\n".join(lines))
        if re.match(r"(\w+[.)]|[:+•]|\.\.)(\s|$)", text):
            text = "\\" + text  # not a list
        return text.split("\n")

    def section(self, name: str, lines: list[str]) -> list[str]:
        """Return a section of Google's style as fields, or with a heading of its own."""
        lines = dedented(lines)
        if name in ("Returns", "Yields"):
            return [*self.field(name.lower(), lines), ""]
        if name not in ("Args", "Attributes", "Raises"):
            if all(ITEM.match(line) for line in lines):
                lines = [f"- {line}" for line in lines]
            return [f".. rubric:: {name}", "", *self.inner(lines), ""]
        out: list[str] = []
        while lines:
            count = 1
            while count < len(lines) and (not lines[count] or lines[count][0] == " "):
                count += 1
            item, lines = lines[:count], lines[count:]
            match = ITEM.match(item[0])
            if not match:
                out += ["", *self.inner(item), ""]
                continue
            body = [match[2] or "", *(dedented(item[1:]) if item[1:] else [])]
            for each in match[1].split(", "):
                out += self.field(
                    f"{self.kind(name, each)} {each.replace('*', chr(92) + '*')}", body
                )
        return [*out, ""]

    def kind(self, section: str, name: str) -> str:
        """Return which field of reStructuredText describes a name."""
        if section == "Raises":
            return "raises"
        return "param" if section == "Args" or name in self.parameters else "ivar"

    def field(self, name: str, lines: list[str]) -> list[str]:
        """Return one field."""
        first, *rest = self.inner(lines)
        if first.startswith((".. ", "- ", ">>>")):
            return [f":{name}:", *indented([first, *rest])]
        return [f":{name}: {first}", *indented(rest)]


def parameters_of(value: Any) -> set[str]:
    """Return the names of the parameters of a function or class."""
    try:
        return set(inspect.signature(value).parameters)
    except (TypeError, ValueError):
        return set()


def plain(lines: list[str]) -> list[str]:
    """Return lines of reStructuredText with its roles as code."""
    return [re.sub(r":\w+:`(?:\\\w+{)?([^`}]*)}?`", r"`\1`", line) for line in lines]


def foreign(value: Any, lines: list[str]) -> list[str] | None:
    """Return the first sentence of a function that another library documents, else None."""
    module = getattr(value, "__module__", None) or ""
    if not re.match(r"(jax|flax|optax)\b", module):
        return None
    first = Converter(plain(lines), set()).take_paragraph(r"[^\s]") if lines else []
    public = re.sub(r"\._src\b|\.functions\b|\.activations\b", "", module)
    return [*inline("\n".join(first)).split("\n"), "", f"This is ``{public}.{value.__name__}``."]


def convert(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Write a docstring in reStructuredText, in place."""
    text = Converter(list(lines), parameters_of(value)).rst()
    lines[:] = (what == "function" and foreign(value, list(lines))) or text


def skip(app: Sphinx, what: str, name: str, value: Any, skipped: bool, options: Any) -> bool | None:
    """Skip the fields of named tuples, which their class describes."""
    return True if (getattr(value, "__doc__", "") or "").startswith("Alias for field") else None


def link(app: Sphinx, doctree: nodes.document) -> None:
    """Make public names in code, such as `jnn.run(...)`, links to their place in the API."""
    public = Public.read()
    skipped = (nodes.reference, nodes.title, addnodes.pending_xref, nodes.term)
    for literal in list(doctree.findall(nodes.literal)):
        if any(isinstance(parent, skipped) for parent in parents(literal)):
            continue
        text = literal.astext()
        module, here, parameters = context(literal, app.env.docname)
        target = public.target(re.split(r"[(\[]", text)[0], module)
        is_part = text in parameters or (target in public.packages and not text.startswith("jnn."))
        if target and target != here and not is_part:
            reference = addnodes.pending_xref(
                "", refdomain="py", reftype="obj", reftarget=target, refdoc=app.env.docname
            )
            literal.replace_self(reference)
            reference += literal


def parents(node: nodes.Node) -> Iterator[nodes.Element]:
    """Yield the nodes above a node."""
    above = node.parent
    while above is not None:
        yield above
        above = above.parent


def context(node: nodes.Node, page: str) -> tuple[str, str, set[str]]:
    """Return module, full name and parameters of the object whose docstring holds a node."""
    for parent in parents(node):
        if isinstance(parent, addnodes.desc) and parent.get("domain") == "py":
            signature = next(parent.findall(addnodes.desc_signature))
            module, name = signature.get("module") or "", signature.get("fullname") or ""
            found = signature.findall(addnodes.desc_parameter)
            parameters = {re.split(r"[:=]", each.astext())[0].strip("* ") for each in found}
            return module, f"{module}.{name}", parameters
    module = page.removeprefix("api/") if page.startswith("api/jnn") else ""
    return module, module, set()


def shorten(app: Sphinx, what: str, name: str, *signature: Any) -> None:
    """Shorten the types that autodoc has read of a function or class."""
    types = app.env.current_document.autodoc_annotations.get(name, {})
    for each, text in types.items():
        for long, short in SHORT.items():
            text = text.replace(long, short)
        types[each] = text


def dashes(app: Sphinx, doctree: nodes.document) -> None:
    """Separate parameters from their descriptions by a dash."""
    for text in list(doctree.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the hooks to Sphinx."""
    app.connect("autodoc-process-docstring", convert)
    app.connect("autodoc-skip-member", skip)
    app.connect("doctree-read", link)
    app.connect("doctree-read", dashes)
    app.connect("autodoc-process-signature", shorten, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
