"""Names with placeholders: "blocks.{i}.weight" is the name of the weight of every block."""

import functools
import re
from collections.abc import Mapping

_FIELD = re.compile(r"\{(\w*)([+-]\d+)?\}")


class Pattern:
    """Names with placeholders, which reads the values of a name and makes a name of values.

    `{i}` stands for a part of a name without "." and "/", `{i+1}` for a whole number that is larger
    by one than on the other side of a rule, and `{}` for a placeholder known by its place.

    >>> Pattern("conv{i+1}.weight").values("conv3.weight")
    {'i': '2'}
    >>> Pattern("convs/{i}/kernel").name({"i": "2"})
    'convs/2/kernel'
    """

    def __init__(self, text: str):
        self.text = text
        self._parts: list[str] = []  # the texts around the placeholders
        self._fields: list[tuple[str, int]] = []  # name and what is added
        end = 0
        for place, field in enumerate(_FIELD.finditer(text)):
            self._parts.append(text[end : field.start()])
            self._fields.append((field[1] or f"_{place}", int(field[2] or 0)))
            end = field.end()
        self._parts.append(text[end:])
        self._expression = re.compile(self._regular_expression(), re.DOTALL)

    def values(self, name: str) -> dict[str, str] | None:
        """Return what stands for the placeholders in a name; None if the name is another."""
        found = self._expression.fullmatch(name)
        if found is None:
            return None
        values: dict[str, str] = {}
        for place, (field, added) in enumerate(self._fields):
            text = found[place + 1]
            value = str(int(text) - added) if added else text
            if values.setdefault(field, value) != value or value.startswith("-"):
                return None
        return values

    def name(self, values: Mapping[str, str]) -> str:
        """Return the name with these values in the places of the placeholders."""
        texts = [self._parts[0]]
        for (field, added), part in zip(self._fields, self._parts[1:], strict=True):
            value = values[field]
            texts += [str(int(value) + added) if added else value, part]
        return "".join(texts)

    def fields(self) -> set[str]:
        """Return the names of the placeholders."""
        return {field for field, _ in self._fields}

    def _regular_expression(self) -> str:
        text = re.escape(self._parts[0])
        for (_, added), part in zip(self._fields, self._parts[1:], strict=True):
            text += (r"(\d+)" if added else r"([^./]+)") + re.escape(part)
        return text


@functools.lru_cache(4096)
def pattern(text: str) -> Pattern:
    """Return the pattern of a text; equal texts have one pattern."""
    return Pattern(text)
