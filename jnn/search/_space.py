"""The space of a search: a distribution for each choice, and when the choice applies."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from jnn.study import Choice, LogUniform, Uniform

Value: TypeAlias = float | int | bool | str
Setting: TypeAlias = Mapping[str, Value]
"""The choices that apply, by name."""

Distribution: TypeAlias = Uniform | LogUniform | Choice

_RESERVED = {"seed", "fold", "sample", "member", "epoch", "trial", "score", "error", "loss"}


class Choices(Mapping[str, Value]):
    """One setting, as a study is made from it: `c.width` or `c["width"]`.

    It remembers which names were read. A choice that is read shapes the program, and one that is
    not is a number of the members.
    """

    def __init__(self, setting: Setting, known: Sequence[str] = ()) -> None:
        self._setting = dict(setting)
        self._known = tuple(known) or tuple(setting)
        self._names_read: dict[str, None] = {}
        self._has_missed = False

    @property
    def has_missed(self) -> bool:
        """Whether a choice was asked for that does not apply."""
        return self._has_missed

    @property
    def names_read(self) -> tuple[str, ...]:
        """The names that were read, in the order of their first reading."""
        return tuple(self._names_read)

    def __getitem__(self, name: str) -> Value:
        if name not in self._setting:
            raise KeyError(self._missing(name))
        self._names_read[name] = None
        return self._setting[name]

    def __getattr__(self, name: str) -> Value:
        if name.startswith("_") or name not in self._setting:
            raise AttributeError(self._missing(name))
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._setting)

    def __len__(self) -> int:
        return len(self._setting)

    def __repr__(self) -> str:
        return f"Choices({self._setting})"

    def _missing(self, name: str) -> str:
        if name in self._known:
            self._has_missed = True
            return (
                f"{name!r} does not apply to {self._setting}. Read it under its condition, or by "
                f"c.get({name!r}, default)."
            )
        return f"The space has no choice {name!r}, only {list(self._known)}. Add it to the space."


class _OpenError(Exception):
    """A condition has read a choice whose value is open."""


class _OpenChoices(Choices):
    """Choices some of which have no value yet."""

    def __init__(self, setting: Setting, known: Sequence[str], open_names: set[str]) -> None:
        super().__init__(setting, known)
        self._open = open_names

    def __getitem__(self, name: str) -> Value:
        if name in self._open:
            raise _OpenError(name)
        return super().__getitem__(name)

    def __getattr__(self, name: str) -> Value:
        if not name.startswith("_") and name in self._open:
            raise _OpenError(name)
        return super().__getattr__(name)

    def __contains__(self, name: object) -> bool:
        if name in self._open:
            raise _OpenError(name)
        return super().__contains__(name)


@dataclasses.dataclass(frozen=True)
class Conditional:
    """A choice that applies only under a condition on the choices before it."""

    condition: Callable[[Choices], bool]
    distribution: Distribution


@dataclasses.dataclass(frozen=True, eq=False)
class Space:
    """A distribution for each choice.

    Attributes:
        dimensions: Name -> distribution, or one under a condition, in the order of the choices.
    """

    dimensions: Mapping[str, Distribution | Conditional]

    def __len__(self) -> int:
        return len(self.dimensions)

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {_text(d)}" for name, d in self.dimensions.items())

    def distribution(self, name: str) -> Distribution:
        """Return the distribution of a choice."""
        dimension = self.dimensions[name]
        return dimension.distribution if isinstance(dimension, Conditional) else dimension

    def setting(self, choose: Callable[[str, Distribution], Value]) -> Setting:
        """Return the setting of one value for each choice that applies.

        Args:
            choose: Called with name and distribution of each choice that applies, in their order.
        """
        values: dict[str, Value] = {}
        for name, dimension in self.dimensions.items():
            if self._applies(name, dimension, values):
                values[name] = choose(name, self.distribution(name))
        return values

    def at(self, shares: np.ndarray) -> list[Setting]:
        """Return the settings at these points of the unit cube.

        Args:
            shares: [settings, choices], in [0, 1): for each choice the share of its distribution
                that lies below the value.
        """
        places = {name: place for place, name in enumerate(self.dimensions)}

        def setting(row: np.ndarray) -> Setting:
            return self.setting(lambda name, d: plain(d.quantile(row[places[name]])))

        return [setting(row) for row in np.asarray(shares, np.float64)]

    def possible(self, values: Setting) -> set[str]:
        """Return the choices that apply in some setting that has these values.

        A condition that reads another choice, whose value is open, holds in some setting.
        """
        found: set[str] = set()
        for name, dimension in self.dimensions.items():
            known = {key: value for key, value in values.items() if key in found}
            if not isinstance(dimension, Conditional):
                found.add(name)
                continue
            choices = _OpenChoices(known, tuple(self.dimensions), found - known.keys())
            try:
                applies = self._applies(name, dimension, choices)
            except _OpenError:
                applies = True
            if applies:
                found.add(name)
        return found

    def check(self, setting: Any) -> Setting:
        """Return a setting that a strategy asked for, if it lies in the space.

        Raises:
            TypeError: If it is no dict.
            ValueError: If a choice is missing or unknown, or a value lies outside its distribution.
        """
        if not isinstance(setting, Mapping):
            raise TypeError(f"A strategy must ask for dicts of choices, got {setting!r}.")
        unknown = sorted(set(setting) - set(self.dimensions))
        if unknown:
            raise ValueError(
                f"A setting must have the choices {list(self.dimensions)} only, got {unknown} too."
            )
        values = {name: plain(value) for name, value in setting.items()}
        checked: dict[str, Value] = {}
        for name, dimension in self.dimensions.items():
            if not self._applies(name, dimension, checked):
                continue
            if name not in values:
                raise ValueError(f"A setting must have a value for {name!r}, got {dict(setting)}.")
            _check_value(name, self.distribution(name), values[name])
            checked[name] = values[name]
        return checked

    def _applies(self, name: str, dimension: Any, values: Setting) -> bool:
        if not isinstance(dimension, Conditional):
            return True
        choices = values if isinstance(values, Choices) else Choices(values, tuple(self.dimensions))
        try:
            return bool(dimension.condition(choices))
        except _OpenError:
            raise
        except Exception as error:
            if choices.has_missed and isinstance(error, AttributeError | KeyError):
                return False  # the condition reads a choice that does not apply itself
            raise ValueError(f"The condition of {name!r} failed on {values}: {error}") from error


def space(**dimensions: Distribution | Conditional | Sequence[Value]) -> Space:
    """Return the space of a search.

    Args:
        **dimensions: Name -> `jnn.uniform`, `jnn.log_uniform`, `jnn.choice`, or a list of options;
            or one of these under a condition, see `when`. A condition may read the choices that
            stand before it.

    Raises:
        TypeError: If something is no distribution.
        ValueError: If the space is empty, or a name is reserved.

    >>> space(rate=LogUniform(1e-4, 1e-1), width=[32, 64])
    rate: log-uniform over 0.0001..0.1
    width: one of 32, 64
    """
    if not dimensions:
        raise ValueError(
            "A space must have at least one choice, got none. Use e.g. "
            "space(learning_rate=jnn.log_uniform(1e-4, 1e-1))."
        )
    return Space({name: _dimension(name, value) for name, value in dimensions.items()})


def when(
    condition: Callable[[Choices], bool], distribution: Distribution | Sequence[Value]
) -> Conditional:
    """Return a choice that applies only where a condition on earlier choices holds.

    >>> shapes = space(depth=[1, 2], second=when(lambda c: c.depth == 2, [16, 32]))
    >>> [sorted(setting) for setting in shapes.at([[0.0, 0.0], [0.9, 0.0]])]
    [['depth'], ['depth', 'second']]
    """
    if not callable(condition):
        raise TypeError(f"condition must be a function of the choices, got {condition!r}.")
    return Conditional(condition, _distribution("when(...)", distribution))


def key_of(setting: Setting) -> tuple:
    """Return what equal settings have in common, in whatever order their choices stand."""
    return tuple(sorted(setting.items()))


def plain(value: Any) -> Value:
    """Return a number or text as Python's own type, which JSON can hold."""
    is_number = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0)
    return value.item() if is_number else value  # type: ignore[return-value]


def _dimension(name: str, value: Any) -> Distribution | Conditional:
    if name in _RESERVED or name.endswith("_index") or hasattr(Mapping, name):
        raise ValueError(f"{name!r} is a reserved name. Choose another name for the choice.")
    return value if isinstance(value, Conditional) else _distribution(name, value)


def _distribution(name: str, value: Any) -> Distribution:
    if isinstance(value, list | tuple):
        value = Choice(tuple(value))
    if not isinstance(value, Distribution):
        raise TypeError(
            f"{name} must be jnn.uniform, jnn.log_uniform, jnn.choice or a list of options, got "
            f"{value!r}."
        )
    if isinstance(value, Choice):
        return _checked_choice(name, value)
    return value


def _checked_choice(name: str, choice: Choice) -> Choice:
    options = tuple(plain(option) for option in choice.options)
    if not options:
        raise ValueError(f"{name} must have at least one option, got none.")
    others = [option for option in options if not isinstance(option, float | int | bool | str)]
    if others:
        raise TypeError(
            f"The options of {name} must be numbers or texts, got {others[0]!r}. Name the options "
            "by texts, and look up what they mean where the study is made."
        )
    if len(set(map(repr, options))) < len(options):
        raise ValueError(f"The options of {name} must differ, got {list(options)}.")
    return _PlainChoice(options)


class _PlainChoice(Choice):
    """A choice among numbers and texts, which keep their types."""

    def quantile(self, shares: Any) -> Any:
        """Return the option at a share of the options."""
        return self.options[min(int(shares * len(self.options)), len(self.options) - 1)]


def _check_value(name: str, distribution: Distribution, value: Value) -> None:
    if isinstance(distribution, Choice):
        if not any(value == option for option in distribution.options):
            raise ValueError(f"{name} must be one of {list(distribution.options)}, got {value!r}.")
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and distribution.low <= float(value) <= distribution.high):
        raise ValueError(
            f"{name} must be a number from {distribution.low} to {distribution.high}, got "
            f"{value!r}."
        )


def _text(dimension: Distribution | Conditional) -> str:
    if isinstance(dimension, Conditional):
        return _text(dimension.distribution) + ", under a condition"
    if isinstance(dimension, Choice):
        return "one of " + ", ".join(map(str, dimension.options))
    kind = "log-uniform" if isinstance(dimension, LogUniform) else "uniform"
    return f"{kind} over {dimension.low:g}..{dimension.high:g}"
