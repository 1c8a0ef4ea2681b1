"""Write the pages that are made of code: of each package, each linked file and each notebook."""

import inspect
import os
import re
import typing
from pathlib import Path
from types import ModuleType

from _extensions import commands
from _extensions.docstrings import Converter, escaped, inline, plain
from _extensions.public import Public, doc_of, groups, names
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "examples" / "notebooks"
FOLDERS = ("api", "source", "notebooks")  # of generated pages
LINK = re.compile(r"\]\((\.\./[^)#\s]+(?<!\.png))\)")
LANGUAGES = {".py": "python", ".toml": "toml", ".sh": "bash"}

Pages = dict[str, str]  # name -> text


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
        lines += summary(package, members, public)
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
        lines.append(f"      - {first_sentence(doc_of(package, member))}".rstrip())
    return [*lines, ""]


def first_sentence(doc: str) -> str:
    """Return the first paragraph of a docstring as one line of reStructuredText."""
    return " ".join(inline(" ".join(plain(doc.split("\n\n")[:1]))).split())


def directive(package: ModuleType, member: str) -> list[str]:
    """Return the directive that documents one name."""
    value, full = getattr(package, member), f"{package.__name__}.{member}"
    if inspect.isclass(value):
        options = [":members:", ":special-members: __call__", ":member-order: bysource"]
        return [f".. autoclass:: {full}", *(f"    {option}" for option in options)]
    if callable(value) and hasattr(value, "__name__") and not typing.get_origin(value):
        return [f".. autofunction:: {full}"]
    return constant(package, member)


def constant(package: ModuleType, member: str) -> list[str]:
    """Return the directive that documents an instance, a number or the name of a type."""
    value = getattr(package, member)
    doc = Converter(doc_of(package, member).split("\n"), set()).rst()
    lines = [f".. py:data:: {member}", f"    :module: {package.__name__}"]
    if isinstance(value, dict):
        doc += ["", "Keys: " + ", ".join(f"``{key}``" for key in value) + "."]
    elif type(value).__module__ in ("builtins", "types", "collections.abc", "typing"):
        shown = re.sub(r"jax\.jaxlib\._jax\.|collections\.abc\.|typing\.", "", repr(value))
        doc += ["", f"``{shown}``"]
    if type(value).__module__.startswith("jnn") or isinstance(value, int | tuple | dict):
        lines.append(f"    :type: {type(value).__name__}")
    return [*lines, "", *("    " + line for line in doc)]


def api_pages() -> Pages:
    """Return the pages of the public packages, and the list of them."""
    public = Public.read()
    pages = {f"api/{name}": api_page(package, public) for name, package in public.packages.items()}
    table = [".. list-table::", "    :class: names", "    :widths: auto", ""]
    for name, package in public.packages.items():
        table += [f"    * - :doc:`{name}`", f"      - {first_sentence(package.__doc__ or '')}"]
    pages["api/command_line"] = commands.page()
    listed = [f"    {name}" for name in public.packages]
    tree = [".. toctree::", "    :hidden:", "", *listed, ""]
    return {**pages, "api/index": "\n".join([*heading("API"), *table, "", *tree])}


def source_name(path: Path) -> str:
    """Return the page that shows a file or folder of the repository."""
    return "source/" + str(path.relative_to(ROOT)).replace(".", "_")


def source_pages(app: Sphinx, path: Path) -> Pages:
    """Return the page that shows a file, or that of a folder with those of its scripts."""
    page, pages = source_name(path), {}
    lines = [":orphan:", "", *heading(escaped(str(path.relative_to(ROOT))))]
    if path.is_file():
        inside = os.path.relpath(path, (Path(app.srcdir) / page).parent)
        language = LANGUAGES.get(path.suffix, "text")
        lines += [f".. literalinclude:: {inside}", f"    :language: {language}"]
    for inner in sorted(path.iterdir()) if path.is_dir() else ():
        if inner.suffix == ".py" and inner.name[0] != "_":
            lines.append(f"- :doc:`{inner.name} </{source_name(inner)}>`")
            pages |= source_pages(app, inner)
        elif inner.name[0] not in "._":
            lines.append(f"- ``{inner.name}``")
    return {**pages, page: "\n".join([*lines, ""])}


def linked(app: Sphinx) -> Pages:
    """Return a page for each file of the repository that a page of `docs/` links to."""
    pages: Pages = {}
    for page in Path(app.srcdir).glob("*.md"):
        for link in LINK.findall(page.read_text()):
            path = (page.parent / link).resolve()
            if path.exists() and path != ROOT / "README.md" and path.suffix != ".ipynb":
                pages |= source_pages(app, path)
    return pages


def write(app: Sphinx) -> None:
    """Write the pages that are new or have changed, and remove those of another time."""
    texts = {f"{name}.rst": text for name, text in (api_pages() | linked(app)).items()}
    texts |= {f"notebooks/{path.name}": path.read_text() for path in NOTEBOOKS.glob("*.ipynb")}
    pages = {Path(app.srcdir) / name: text for name, text in texts.items()}
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for folder in FOLDERS:
        for path in (Path(app.srcdir) / folder).rglob("*.*"):
            if path not in pages:
                path.unlink()


def point_to_pages(app: Sphinx, name: str, source: list[str]) -> None:
    """Point the links to files outside `docs/` at the pages that show them."""

    def replaced(match: re.Match[str]) -> str:
        path = (Path(app.srcdir) / match[1]).resolve()
        if path == ROOT / "README.md":
            return "](index.md)"
        if path.suffix == ".ipynb":
            return f"](notebooks/{path.name})"
        return f"]({source_name(path)}.rst)"

    if "/" not in name:
        source[0] = LINK.sub(replaced, source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the hooks to Sphinx."""
    app.connect("builder-inited", write)
    app.connect("source-read", point_to_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
