"""Whether a value that came from JSON has the form that a type hint describes."""

import dataclasses
import pathlib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "null",
    pathlib.Path: "text",
}
_LONGEST = 60  # characters of a value that an error shows


class FormError(ValueError):
    """A value has another form than its type hint."""


def check_form(value: Any, form: Any, where: str = "") -> None:
    """Check a value from JSON against a type hint.

    Known are None, bool, int, float, str, pathlib.Path (text in JSON), Literal, unions, tuples and
    sequences (lists in JSON), mappings from names, `TypedDict`, and dataclasses (objects in JSON;
    fields with a default may be missing). Any other hint allows everything.

    Args:
        value: What JSON gave.
        form: The type hint.
        where: Name of the value, for the error.

    Raises:
        FormError: If the value has another form, or a field too many or too few.

    >>> check_form({"rate": [0.1, "a"]}, dict[str, list[float]])
    Traceback (most recent call last):
    jnn.storage._form.FormError: rate[1] must be a number, got 'a'
    """
    origin = typing.get_origin(form)
    arguments = typing.get_args(form)
    if origin in (typing.NotRequired, typing.Required, typing.Annotated):
        check_form(value, arguments[0], where)
    elif origin in (typing.Union, types.UnionType):
        _check_union(value, arguments, where)
    elif origin is typing.Literal:
        _refuse_unless(value in arguments, value, f"one of {list(arguments)}", where)
    elif form in _NAMES or form is None:
        _check_plain(value, form, where)
    elif dataclasses.is_dataclass(form) or typing.is_typeddict(form):
        _check_fields(value, form, where)
    elif _is_kind(origin or form, Mapping):
        _refuse_unless(isinstance(value, Mapping), value, "an object", where)
        for name, inner in value.items():
            check_form(inner, arguments[1] if arguments else Any, _below(where, name))
    elif _is_kind(origin or form, Sequence):
        _check_list(value, origin, arguments, where)


def _check_plain(value: Any, form: Any, where: str) -> None:
    if form is None or form is type(None):
        fits = value is None
    elif form is bool:
        fits = isinstance(value, bool)
    elif form is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif form is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = isinstance(value, str)
    _refuse_unless(fits, value, _NAMES.get(form, "null"), where)


def _check_union(value: Any, forms: Sequence[Any], where: str) -> None:
    """Check against several forms; the error is that of the first one that is no plain type."""
    errors = []
    for form in forms:
        try:
            check_form(value, form, where)
        except FormError as error:
            errors.append(error)
        else:
            return
    names = [_NAMES[form] for form in forms if form in _NAMES]
    if len(names) == len(forms):
        _refuse_unless(False, value, " or ".join(names), where)
    raise next(error for form, error in zip(forms, errors, strict=True) if form not in _NAMES)


def _check_list(value: Any, origin: Any, arguments: Sequence[Any], where: str) -> None:
    _refuse_unless(isinstance(value, list | tuple), value, "a list", where)
    forms = list(arguments[:1]) * len(value)
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        forms = list(arguments)
        _refuse_unless(len(value) == len(forms), value, f"a list of {len(forms)}", where)
    for number, (inner, form) in enumerate(zip(value, forms, strict=False)):
        check_form(inner, form, f"{where}[{number}]")


def _check_fields(value: Any, form: Any, where: str) -> None:
    """Check an object against the fields of a dataclass or a TypedDict."""
    _refuse_unless(isinstance(value, Mapping), value, "an object", where)
    hints = typing.get_type_hints(form)
    if dataclasses.is_dataclass(form):
        required = {f.name for f in dataclasses.fields(form) if _has_no_default(f)}
    else:
        required = form.__required_keys__
    subject = where or "the object"
    if missing := sorted(required - value.keys()):
        raise FormError(f"{subject} lacks {', '.join(missing)}")
    if unknown := sorted(map(str, value.keys() - hints.keys())):
        raise FormError(f"{subject} has the unknown entry {', '.join(unknown)[:_LONGEST]}")
    for name, inner in value.items():
        check_form(inner, hints[name], _below(where, name))


def _has_no_default(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _is_kind(form: Any, kind: type) -> bool:
    return isinstance(form, type) and issubclass(form, kind) and form is not str


def _refuse_unless(fits: bool, value: Any, expected: str, where: str) -> None:
    if not fits:
        shown = "null" if value is None else repr(value)[:_LONGEST]
        raise FormError(f"{where or 'the content'} must be {expected}, got {shown}")


def _below(where: str, name: Any) -> str:
    return f"{where}.{name}" if where else str(name)
