"""Families of networks by name: "resnet:18" is the family `resnet` with the number 18.

A family is one entry of a table: the kinds of data it is for, its numbers, and a function that
makes a model factory from them. Add your own with `register`.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from jnn import models, modules
from jnn.recipes._about import About, Kind

Factory: TypeAlias = Callable[..., Any]
MakeFactory: TypeAlias = Callable[[About, Sequence[int], Mapping[str, float]], Factory]


class Family(NamedTuple):
    """A family of networks.

    Attributes:
        make: Function `make(about, numbers, options)` that returns a model factory, a callable
            that takes `rngs=`. `options` are further keyword arguments for the network:
            {"dropout_rate": 0.0} if members set that number, else empty.
        kinds: Kinds of data that the family can read, see `About`.
        numbers: Default values of the numbers after the colon; None if there may be any count.
        help: Meaning of these numbers.
        names: Names of these numbers in a search, such as ("width", "depth"). Those of a family
            that may have any count of numbers, one for each layer, are always these two.
    """

    make: MakeFactory
    kinds: tuple[Kind, ...]
    numbers: tuple[int, ...] | None
    help: str
    names: tuple[str, ...] = ()


def register(name: str, family: Family) -> None:
    """Add a family under a new name.

    The command line knows it too if it is started from Python, by `jnn.cli.main([...])`.

    Raises:
        ValueError: If the name is taken or is not an identifier.
    """
    if not name.isidentifier():
        raise ValueError(f"name must be an identifier, got {name!r}. Use letters, digits and _.")
    if name in _FAMILIES:
        raise ValueError(f"name must be new, got {name!r}, which is taken. Choose another.")
    _FAMILIES[name] = family


def make_model(text: str, about: About, options: Mapping[str, float] | None = None) -> Factory:
    """Make the model factory that a text such as "mlp:128,64" names.

    Args:
        text: Name of a family, then a colon and its numbers, which may be left out.
        about: Description of the data.
        options: Further keyword arguments for the network, such as {"dropout_rate": 0.0}.

    Raises:
        ValueError: If there is no such family, if it cannot read such data, or if its numbers
            are wrong.
    """
    family = family_of(text, about)
    return family.make(about, numbers_of(text, about), options or {})


def family_of(text: str, about: About) -> Family:
    """Return the family that a text such as "mlp:128,64" names.

    Raises:
        ValueError: If there is no such family, or it cannot read such data.
    """
    name, _, _ = text.partition(":")
    fitting = sorted(key for key, family in _FAMILIES.items() if about.kind in family.kinds)
    if name not in _FAMILIES:
        raise ValueError(
            f"model must be one of {sorted(_FAMILIES)}, got {text!r}. "
            f"For {about.kind} use one of {fitting}."
        )
    family = _FAMILIES[name]
    if about.kind not in family.kinds:
        raise ValueError(
            f"model {name} reads {' or '.join(family.kinds)}, but {about.name} has {about.kind}, "
            f"rows of shape {about.shape}. Use one of {fitting}."
        )
    return family


def numbers_of(text: str, about: About) -> tuple[int, ...]:
    """Return the numbers of a network, with the family's own for those that are left out.

    Raises:
        ValueError: If there is no such family, or its numbers are wrong.
    """
    _, _, words = text.partition(":")
    return _parse_numbers(text, words, family_of(text, about))


def describe_families() -> str:
    """Return the table of families as text, one line for each."""
    lines = []
    for name, family in _FAMILIES.items():
        numbers = ",".join(map(str, family.numbers or ())) or "..."
        lines.append(f"{name}:{numbers}  {family.help}; for {', '.join(family.kinds)}")
    return "\n".join(lines)


def _parse_numbers(text: str, words: str, family: Family) -> tuple[int, ...]:
    try:
        numbers = tuple(int(word) for word in words.split(",") if word.strip())
    except ValueError:
        raise ValueError(
            f"model must have whole numbers after the colon, got {text!r}. They are: {family.help}."
        ) from None
    if any(number < 1 for number in numbers):
        raise ValueError(
            f"model must have numbers of at least 1, got {text!r}. They are: {family.help}."
        )
    if family.numbers is None:
        return numbers
    if len(numbers) > len(family.numbers):
        raise ValueError(
            f"model takes at most {len(family.numbers)} numbers, got {text!r}. "
            f"They are: {family.help}."
        )
    return numbers + family.numbers[len(numbers) :]


def _mlp(about: About, units: Sequence[int], options: Mapping[str, float]) -> Factory:
    features = math.prod(about.shape)
    return functools.partial(models.MLP, features, units, about.outputs, **options)


def _lenet(about: About, maps: Sequence[int], options: Mapping[str, float]) -> Factory:
    sizes = {"maps": maps} if maps else {}
    return functools.partial(models.LeNet, about.shape, about.outputs, **sizes, **options)


def _resnet(about: About, numbers: Sequence[int], options: Mapping[str, float]) -> Factory:
    (depth,) = numbers
    height, width, channels = about.shape
    network = functools.partial(models.ResNet, channels, about.outputs, depth)
    if min(height, width) > 64:
        return network
    return functools.partial(network, stem="small")


def _vit(about: About, numbers: Sequence[int], options: Mapping[str, float]) -> Factory:
    sizes = dict(zip(("patch", "layers", "num_heads", "features"), numbers, strict=True))
    return functools.partial(models.ViT, about.shape, about.outputs, **sizes, **options)


def _cnn1d(about: About, maps: Sequence[int], options: Mapping[str, float]) -> Factory:
    maps = maps or (25, 25, 25)
    windows = (5,) + (3,) * (len(maps) - 1)
    return functools.partial(models.CNN1D, about.shape, about.outputs, maps=maps, windows=windows)


def _textcnn(about: About, numbers: Sequence[int], options: Mapping[str, float]) -> Factory:
    sizes = dict(zip(("maps", "features"), numbers, strict=True))
    return functools.partial(models.TextCNN, about.vocabulary, about.outputs, **sizes)


def _encoder(about: About, numbers: Sequence[int], options: Mapping[str, float]) -> Factory:
    (length,) = about.shape
    sizes = dict(zip(("layers", "num_heads", "features"), numbers, strict=True))
    network = functools.partial(models.TextEncoder, about.vocabulary, length, about.outputs)
    return functools.partial(network, **sizes, **options)


def _gpt(about: About, numbers: Sequence[int], options: Mapping[str, float]) -> Factory:
    (length,) = about.shape
    sizes = dict(zip(("layers", "num_heads", "features"), numbers, strict=True))
    return functools.partial(models.GPT, about.vocabulary, length, **sizes, **options)


def _recurrent(
    layer: Factory, about: About, numbers: Sequence[int], options: Mapping[str, float]
) -> Factory:
    """Make the model that suits the kind of data, over one recurrent layer."""
    units, layers = numbers
    if about.kind == "tokens":
        network = functools.partial(models.LanguageModel, about.vocabulary, units)
    elif about.kind == "series":
        horizon, channels = about.target
        network = functools.partial(models.Forecaster, channels, horizon, units)
    else:
        ids = {"vocabulary": about.vocabulary, "padding_id": 0} if about.kind == "texts" else {}
        sizes = (about.shape, units, about.outputs)
        network = functools.partial(models.SequenceClassifier, *sizes, **ids)
    return functools.partial(network, layer=layer, layers=layers, **options)


def _forecaster(
    network: Factory, about: About, numbers: Sequence[int], options: Mapping[str, float]
) -> Factory:
    window, _ = about.shape
    horizon, _ = about.target
    return functools.partial(network, window, horizon)


def _recurrent_family(layer: Factory) -> Family:
    kinds: tuple[Kind, ...] = ("vectors", "signals", "texts", "tokens", "series")
    make = functools.partial(_recurrent, layer)
    return Family(make, kinds, (128, 1), "units, layers", ("width", "depth"))


def _forecaster_family(network: Factory) -> Family:
    return Family(functools.partial(_forecaster, network), ("series",), (), "no numbers")


_FAMILIES: dict[str, Family] = {
    "mlp": Family(
        make=_mlp,
        kinds=("vectors", "images", "signals"),
        numbers=None,
        help="units of each hidden layer; none for a linear model",
    ),
    "lenet": Family(
        make=_lenet,
        kinds=("images",),
        numbers=None,
        help="maps of each convolution",
    ),
    "resnet": Family(
        make=_resnet,
        kinds=("images",),
        numbers=(18,),
        help="depth: 18, 34, 50, 101 or 152, or 6 n + 2 for the thin ones, such as 20",
        names=("depth",),
    ),
    "vit": Family(
        make=_vit,
        kinds=("images",),
        numbers=(4, 4, 4, 128),
        help="patch, layers, heads, width",
        names=("patch", "depth", "heads", "width"),
    ),
    "cnn1d": Family(
        make=_cnn1d,
        kinds=("vectors", "signals"),
        numbers=None,
        help="maps of each convolution over time",
    ),
    "textcnn": Family(
        make=_textcnn,
        kinds=("texts",),
        numbers=(100, 300),
        help="maps of each window, width of a word's vector",
        names=("width", "vector"),
    ),
    "encoder": Family(
        make=_encoder,
        kinds=("texts",),
        numbers=(2, 4, 128),
        help="layers, heads, width",
        names=("depth", "heads", "width"),
    ),
    "gpt": Family(
        make=_gpt,
        kinds=("tokens",),
        numbers=(4, 4, 128),
        help="layers, heads, width",
        names=("depth", "heads", "width"),
    ),
    "lstm": _recurrent_family(modules.LSTM),
    "gru": _recurrent_family(modules.GRU),
    "rnn": _recurrent_family(modules.RNN),
    "nlinear": _forecaster_family(models.NLinear),
    "dlinear": _forecaster_family(models.DLinear),
    "patchtst": _forecaster_family(models.PatchTST),
}
