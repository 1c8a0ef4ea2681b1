"""The public names of jnn: `__all__` of the package and of the packages in it."""

import functools
import inspect
import re
import sys
import typing
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from sphinx.pycode import ModuleAnalyzer

import jnn


class Public(NamedTuple):
    """The public packages by name, and where each public name is documented."""

    packages: Mapping[str, ModuleType]
    homes: Mapping[str, str]  # full name -> full name under which it is documented

    @classmethod
    @functools.cache
    def read(cls) -> "Public":
        """Return the names of the installed jnn."""
        packages: dict[str, ModuleType] = {}
        find(jnn, packages)
        homes = {name: name for name in packages}
        for package in packages.values():
            for name in names(package):
                home = home_of(package, name, packages)
                homes[f"{package.__name__}.{name}"] = home
                value = getattr(package, name)
                if inspect.isclass(value) and home == f"{package.__name__}.{name}":
                    homes |= {f"{home}.{member}": f"{home}.{member}" for member in methods(value)}
        for package in packages.values():  # methods of classes that are documented elsewhere
            for name in names(package):
                full, value = f"{package.__name__}.{name}", getattr(package, name)
                if inspect.isclass(value) and homes[full] != full:
                    homes |= {f"{full}.{m}": f"{homes[full]}.{m}" for m in methods(value)}
        return cls(packages, homes)

    def target(self, name: str, module: str) -> str | None:
        """Return the full name that a name means in the documentation of a module, or None."""
        if not re.fullmatch(r"[A-Za-z_][\w.]*", name):
            return None
        for full in (name, f"{module}.{name}" if module else f"jnn.{name}", f"jnn.{name}"):
            if full in self.homes and (full == name or module or name[0].isupper()):
                return self.homes[full]
        owner = name.rpartition(".")[0]
        return self.target(owner, module) if owner[:1].isupper() else None


def find(package: ModuleType, found: dict[str, ModuleType]) -> None:
    """Add a package and the public packages in it, in the order of `__all__`."""
    found[package.__name__] = package
    for name in package.__all__:
        inner = getattr(package, name)
        if isinstance(inner, ModuleType) and inner.__name__ not in found:
            find(inner, found)


def names(package: ModuleType) -> list[str]:
    """Return the public names of a package that are not packages."""
    return [n for n in package.__all__ if not isinstance(getattr(package, n), ModuleType)]


def methods(value: type) -> list[str]:
    """Return the documented members of a class."""
    return [n for n, member in vars(value).items() if n[0] != "_" and is_documented(member)]


def is_documented(member: Any) -> bool:
    """Return whether a member of a class is a method or property with a docstring."""
    function = getattr(member, "__func__", member)
    known = inspect.isroutine(function) or isinstance(member, property | functools.cached_property)
    return known and bool(function.__doc__)


def home_of(package: ModuleType, name: str, packages: Mapping[str, ModuleType]) -> str:
    """Return the full name under which a value is documented: in the package that defines it."""
    value = getattr(package, name)
    if isinstance(value, int | str):
        return f"{package.__name__}.{name}"
    holders = [p for p in packages.values() if vars(p).get(name) is value and name in p.__all__]
    module = getattr(value, "__module__", None) if callable(value) else None

    def nearness(holder: ModuleType) -> tuple[bool, int]:
        prefix = holder.__name__
        return (module or prefix).startswith(prefix), len(prefix)

    return f"{max(holders, key=nearness).__name__}.{name}"


def groups(package: ModuleType) -> list[tuple[str, list[str]]]:
    """Return the names of a package under the comments in its `__all__`."""
    source = inspect.getsource(package)
    listed = re.search(r"^__all__ = \[(.*?)^\]", source, re.DOTALL | re.MULTILINE)
    found: list[tuple[str, list[str]]] = [("", [])]
    for line in (listed[1] if listed else "").splitlines()[1:]:
        comment, quoted = re.fullmatch(r" +# (.*)\.", line), re.match(r' +"(\w+)"', line)
        if comment:
            found.append((comment[1], []))
        elif quoted:
            found[-1][1].append(quoted[1])
    if [name for _, names in found for name in names] != list(package.__all__):
        return [("", list(package.__all__))]
    return [group for group in found if group[1]]


def doc_of(package: ModuleType, name: str) -> str:
    """Return the docstring of a public name, also one below its assignment."""
    value = getattr(package, name)
    is_type = isinstance(value, type(list[int]) | type(int | str)) or typing.get_origin(value)
    if inspect.ismodule(value) or (hasattr(value, "__name__") and not is_type):
        return inspect.getdoc(value) or ""
    if getattr(value, "__dict__", {}).get("__doc__"):
        return inspect.getdoc(value) or ""
    return below(home_of(package, name, Public.read().packages).rpartition(".")[0], name)


def below(package: str, name: str) -> str:
    """Return the docstring below the assignment of a name in a module of a package."""
    for module in sorted(each for each in sys.modules if f"{each}.".startswith(f"{package}.")):
        assigned = re.search(rf"^{name}(:.*)? = ", source_of(module), re.MULTILINE)
        lines = assigned and ModuleAnalyzer.for_module(module).find_attr_docs().get(("", name))
        if lines:
            return "\n".join(lines).strip()
    return ""


@functools.cache
def source_of(module: str) -> str:
    """Return the text of a module."""
    return inspect.getsource(sys.modules[module])
