"""Write the pages that are made of code: one for each package, and one for each linked file."""

import inspect
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from _extensions.docstrings import escaped, inline
from _extensions.public import Public, groups, names
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((\.\./[^)#\s]+(?<!\.png))\)")
LANGUAGES = {".py": "python", ".toml": "toml", ".sh": "bash"}


def heading(text: str, mark: str = "=") -> list[str]:
    """Return a heading of reStructuredText."""
    return [text, mark * len(text), ""]


def api_page(package: ModuleType, public: Public) -> str:
    """Return the page of a package: its docstring, a table of its names, and each of them."""
    name = package.__name__
    lines = [*heading(name), f".. automodule:: {name}", "    :no-members:", ""]
    for title, members in groups(package):
        if title:
            lines += heading(title, "-")
        lines += [*summary(package, members, public), ""]
        for member in members:
            full = f"{name}.{member}"
            if member in names(package) and public.homes[full] == full:
                lines += [*directive(package, member), ""]
    return "\n".join(lines)


def summary(package: ModuleType, members: list[str], public: Public) -> list[str]:
    """Return a table of names, each with its first sentence."""
    lines = [".. list-table::", "    :class: names", "    :widths: auto", ""]
    for member in members:
        value = getattr(package, member)
        full = value.__name__ if isinstance(value, ModuleType) else f"{package.__name__}.{member}"
        lines.append(f"    * - :py:obj:`{member} <{public.homes[full]}>`")
        lines.append(f"      - {first_sentence(value)}".rstrip())
    return lines


def first_sentence(value: Any) -> str:
    """Return the first sentence of the docstring of a package, function or class."""
    if not (inspect.ismodule(value) or callable(value)) or not hasattr(value, "__name__"):
        return ""
    first = (inspect.getdoc(value) or "").split("\n\n")[0]
    return " ".join(inline(first).split())


def directive(package: ModuleType, member: str) -> list[str]:
    """Return the directive that documents one name."""
    value, full = getattr(package, member), f"{package.__name__}.{member}"
    if inspect.isclass(value):
        options = [":members:", ":special-members: __call__", ":member-order: bysource"]
        return [f".. autoclass:: {full}", *(f"    {option}" for option in options)]
    if callable(value) and hasattr(value, "__name__") and inspect.getdoc(value):
        return [f".. autofunction:: {full}"]
    shown = repr(value) if re.match(r"[\w.]+\.", str(type(value))) is None else ""
    text = "" if " at 0x" in shown or len(shown) > 300 else inline(f"`{shown}`")
    lines = [f".. py:data:: {member}", f"    :module: {package.__name__}"]
    return [*lines, f"    :type: {type(value).__name__}", "", f"    {text}".rstrip()]


def write(path: Path, text: str) -> None:
    """Write a page if it is new or has changed, so that Sphinx reads only what it must."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def write_api(app: Sphinx) -> None:
    """Write the pages of the public packages, and the list of them."""
    public, folder = Public.read(), Path(app.srcdir) / "api"
    for name, package in public.packages.items():
        write(folder / f"{name}.rst", api_page(package, public))
    listed = "\n".join(f"    {name}" for name in public.packages)
    table = "\n".join(
        f"    * - :doc:`{name}`\n      - {first_sentence(package)}"
        for name, package in public.packages.items()
    )
    text = [*heading("API"), ".. list-table::", "    :class: names", "", table, ""]
    write(folder / "index.rst", "\n".join([*text, ".. toctree::", "    :hidden:", "", listed, ""]))


def source_name(path: Path) -> str:
    """Return the page that shows a file or folder of the repository."""
    return "source/" + str(path.relative_to(ROOT)).replace(".", "_")


def write_source(app: Sphinx, path: Path) -> None:
    """Write the page that shows a file, or lists a folder."""
    page = Path(app.srcdir) / f"{source_name(path)}.rst"
    lines = [":orphan:", "", *heading(escaped(str(path.relative_to(ROOT))))]
    if path.is_dir():
        for inner in sorted(path.iterdir()):
            if inner.suffix == ".py" and inner.name[0] != "_":
                lines.append(f"- :doc:`{inner.name} </{source_name(inner)}>`")
                write_source(app, inner)
            elif inner.name[0] not in "._":
                lines.append(f"- ``{inner.name}``")
    else:
        inside = os.path.relpath(path, page.parent)
        language = LANGUAGES.get(path.suffix, "text")
        lines += [f".. literalinclude:: {inside}", f"    :language: {language}"]
    write(page, "\n".join([*lines, ""]))


def write_sources(app: Sphinx) -> None:
    """Write a page for each file of the repository that a page of `docs/` links to."""
    for page in Path(app.srcdir).glob("*.md"):
        for link in LINK.findall(page.read_text()):
            path = (page.parent / link).resolve()
            if path.exists() and path != ROOT / "README.md":
                write_source(app, path)


def point_to_pages(app: Sphinx, name: str, source: list[str]) -> None:
    """Point the links to files outside `docs/` at the pages that show them."""

    def replaced(match: re.Match[str]) -> str:
        path = (Path(app.srcdir) / match[1]).resolve()
        page = "index.md" if path == ROOT / "README.md" else f"{source_name(path)}.rst"
        return f"]({page})"

    if "/" not in name:
        source[0] = LINK.sub(replaced, source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the hooks to Sphinx."""
    app.connect("builder-inited", write_api)
    app.connect("builder-inited", write_sources)
    app.connect("source-read", point_to_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
