"""Model families by name, for the command line: `--model resnet:18` is the family `resnet` with the number 18.

A family is an entry of a table: which data it is for, its numbers, and how the data's sizes and these numbers become a
factory. Your own joins by `register`.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from jnn import models, modules


class About(NamedTuple):
    """What a family may know of the data; a saved result knows it too, so that it is rebuilt without its data.

    Attributes:
        name: Of the data.
        kind: "vectors" [features], "images" [height, width, channels], "signals" [time, channels], "texts" (ids
            [length] with one target), "tokens" (ids with a target for each) or "series" (windows with what follows).
        shape: Of a row of x.
        target: Of a row of y.
        outputs: Classes, or numbers per row.
        vocabulary: Number of token ids; 0 where rows hold numbers.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    target: tuple[int, ...]
    outputs: int
    vocabulary: int


class Family(NamedTuple):
    """An entry of the table.

    Attributes:
        make: `make(about, numbers, dropout) -> factory`; `dropout` is {"dropout_rate": 0.0} where members set that
            name and the network is to have one, else empty.
        kinds: Of data, see `About`.
        numbers: The default numbers after the colon; None for any number of them.
        help: What they are.
    """

    make: Callable[[About, Sequence[int], Mapping[str, float]], Callable]
    kinds: tuple[str, ...]
    numbers: tuple[int, ...] | None
    help: str


def register(name: str, family: Family) -> None:
    """Makes a family known under a name of its own; the command line is then entered by `jnn.cli.main([...])`."""
    if name in _FAMILIES or not name.isidentifier():
        raise ValueError(
            f"wanted a new name for a family, but got {name!r}; there are {sorted(_FAMILIES)}"
        )
    _FAMILIES[name] = family


def make_factory(text: str, about: About, dropout: Mapping[str, float]) -> Callable:
    """The factory that words such as "mlp:128,64" name for such data; one `ValueError` where they do not fit."""
    name, _, words = text.partition(":")
    if name not in _FAMILIES:
        raise ValueError(
            f"wanted one of the models {sorted(_FAMILIES)}, but got {text!r}; for {about.kind} use one of "
            f"{_fitting(about.kind)}"
        )
    family = _FAMILIES[name]
    if about.kind not in family.kinds:
        raise ValueError(
            f"wanted {' or '.join(family.kinds)} for the model {name}, but {about.name} has {about.kind}, "
            f"rows of shape {about.shape}; use one of {_fitting(about.kind)}"
        )
    return family.make(about, _numbers(text, words, family), dropout)


def describe() -> str:
    """The table as text, a line for each family."""
    lines = []
    for name, family in _FAMILIES.items():
        numbers = ",".join(map(str, family.numbers or ())) or "..."
        lines.append(f"{name}:{numbers}  {family.help}; for {', '.join(family.kinds)}")
    return "\n".join(lines)


def _numbers(text: str, words: str, family: Family) -> tuple[int, ...]:
    try:
        numbers = tuple(int(word) for word in words.split(",") if word.strip())
    except ValueError:
        raise ValueError(
            f"wanted whole numbers after the colon, but got {text!r}; {family.help}"
        ) from None
    if any(n < 1 for n in numbers):
        raise ValueError(f"wanted numbers of at least 1, but got {text!r}; {family.help}")
    if family.numbers is None:
        return numbers
    if len(numbers) > len(family.numbers):
        raise ValueError(
            f"wanted at most {len(family.numbers)} numbers, but got {text!r}; they are: {family.help}"
        )
    return numbers + family.numbers[len(numbers) :]


def _fitting(kind: str) -> list[str]:
    return sorted(name for name, family in _FAMILIES.items() if kind in family.kinds)


def _mlp(about: About, hidden: Sequence[int], dropout: Mapping[str, float]) -> Callable:
    return functools.partial(models.MLP, math.prod(about.shape), hidden, about.outputs, **dropout)


def _lenet(about: About, maps: Sequence[int], dropout: Mapping[str, float]) -> Callable:
    return functools.partial(
        models.LeNet, about.shape, about.outputs, **({"maps": maps} if maps else {}), **dropout
    )


def _resnet(about: About, numbers: Sequence[int], dropout: Mapping[str, float]) -> Callable:
    stem = {} if min(about.shape[:2]) > 64 else {"stem": "small"}
    return functools.partial(models.ResNet, about.shape[-1], about.outputs, *numbers, **stem)


def _vit(about: About, numbers: Sequence[int], dropout: Mapping[str, float]) -> Callable:
    sizes = dict(zip(("patch", "layers", "num_heads", "features"), numbers, strict=True))
    return functools.partial(models.ViT, about.shape, about.outputs, **sizes, **dropout)


def _cnn1d(about: About, maps: Sequence[int], dropout: Mapping[str, float]) -> Callable:
    maps = maps or (25, 25, 25)
    windows = (5, *[3] * (len(maps) - 1))
    return functools.partial(models.CNN1D, about.shape, about.outputs, maps=maps, windows=windows)


def _textcnn(about: About, numbers: Sequence[int], dropout: Mapping[str, float]) -> Callable:
    maps, features = numbers
    return functools.partial(
        models.TextCNN, about.vocabulary, about.outputs, maps=maps, features=features
    )


def _encoder(about: About, numbers: Sequence[int], dropout: Mapping[str, float]) -> Callable:
    sizes = dict(zip(("layers", "num_heads", "features"), numbers, strict=True))
    return functools.partial(
        models.TextEncoder, about.vocabulary, *about.shape, about.outputs, **sizes, **dropout
    )


def _gpt(about: About, numbers: Sequence[int], dropout: Mapping[str, float]) -> Callable:
    sizes = dict(zip(("layers", "num_heads", "features"), numbers, strict=True))
    return functools.partial(models.GPT, about.vocabulary, *about.shape, **sizes, **dropout)


def _recurrent(
    layer: Callable, about: About, numbers: Sequence[int], dropout: Mapping[str, float]
) -> Callable:
    """One class for each kind of data, over the same layer."""
    hidden, layers = numbers
    options = {"layer": layer, "layers": layers, **dropout}
    if about.kind == "tokens":
        return functools.partial(models.LanguageModel, about.vocabulary, hidden, **options)
    if about.kind == "series":
        horizon, channels = about.target
        return functools.partial(models.Forecaster, channels, horizon, hidden, **options)
    if about.kind == "texts":
        options |= {"vocabulary": about.vocabulary, "padding_id": 0}
    return functools.partial(
        models.SequenceClassifier, about.shape, hidden, about.outputs, **options
    )


def _forecaster(
    network: Callable, about: About, numbers: Sequence[int], dropout: Mapping[str, float]
) -> Callable:
    return functools.partial(network, about.shape[0], about.target[0])


_SEQUENCES = ("vectors", "signals", "texts", "tokens", "series")
_FAMILIES: dict[str, Family] = {
    "mlp": Family(
        _mlp,
        ("vectors", "images", "signals"),
        None,
        "units of each hidden layer; none is a linear model",
    ),
    "lenet": Family(_lenet, ("images",), None, "maps of each convolution"),
    "resnet": Family(
        _resnet,
        ("images",),
        (18,),
        "depth: 18, 34, 50, 101, 152, or 6 n + 2 for the thin ones, as 20",
    ),
    "vit": Family(_vit, ("images",), (4, 4, 4, 128), "patch, layers, heads, width"),
    "cnn1d": Family(_cnn1d, ("vectors", "signals"), None, "maps of each convolution over time"),
    "textcnn": Family(
        _textcnn, ("texts",), (100, 300), "maps of each window, width of a word's vector"
    ),
    "encoder": Family(_encoder, ("texts",), (2, 4, 128), "layers, heads, width"),
    "gpt": Family(_gpt, ("tokens",), (4, 4, 128), "layers, heads, width"),
    "lstm": Family(
        functools.partial(_recurrent, modules.LSTM), _SEQUENCES, (128, 1), "units, layers"
    ),
    "gru": Family(
        functools.partial(_recurrent, modules.GRU), _SEQUENCES, (128, 1), "units, layers"
    ),
    "rnn": Family(
        functools.partial(_recurrent, modules.RNN), _SEQUENCES, (128, 1), "units, layers"
    ),
    "nlinear": Family(
        functools.partial(_forecaster, models.NLinear), ("series",), (), "no numbers"
    ),
    "dlinear": Family(
        functools.partial(_forecaster, models.DLinear), ("series",), (), "no numbers"
    ),
    "patchtst": Family(
        functools.partial(_forecaster, models.PatchTST), ("series",), (), "no numbers"
    ),
}
