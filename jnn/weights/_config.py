"""Networks from config.json, in which Hugging Face writes the sizes of a network."""

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

from jnn._errors import reason_of
from jnn._settings import POSITIVE, check_integer, check_number
from jnn.paths import Patterns
from jnn.storage import expand, read_json
from jnn.weights._family import Config, network_maker
from jnn.weights._load import load
from jnn.weights._network import Variables
from jnn.weights._read import read
from jnn.weights._tensors import Tensors

_FILE = "config.json"


def from_config(config: str | os.PathLike[str] | Config, **options: Any) -> Callable[..., Any]:
    """Return the network of a config.json, without weights.

        network = jnn.weights.from_config({"model_type": "gpt2", "vocab_size": 50257, ...})
        params, state = jnn.as_model(network).init(key, None)

    Args:
        config: A folder with config.json, the file itself, or its content as a mapping, of which
            `model_type` names the family. Dropout is off, whatever the config says.
        **options: Arguments of the network, such as `dropout_rate=0.1`, which take the place of
            those that the config gives.

    Returns:
        The network as a study takes it: a class of `jnn.models` with its sizes.

    Raises:
        ValueError: If no family with a network has the model_type, or the config has settings that
            the network cannot have.
    """
    content = config if isinstance(config, Mapping) else _read_config(config)
    make = network_maker(content.get("model_type"))
    try:
        network = make(content)
    except ValueError:
        raise
    except (TypeError, AttributeError, ArithmeticError, LookupError) as error:
        raise ValueError(
            f"The config of {content['model_type']!r} must have settings of the right types, but "
            f"{reason_of(error):.200}. Correct it."
        ) from error
    return functools.partial(network, **options)


def from_folder(
    folder: str | os.PathLike[str],
    *,
    skip: Patterns = (),
    ignore: Patterns = (),
    cast: bool = False,
    key: Any = None,
    **options: Any,
) -> tuple[Callable[..., Any], Variables]:
    """Return the network of a folder of Hugging Face, and its variables.

        network, (params, state) = jnn.weights.from_folder("gpt2")
        logits, _ = jnn.as_model(network).apply(params, state, ids)

    The folder holds config.json and the weights, as `save_pretrained` writes them; nothing is
    downloaded. For a new head, give its size and let it keep its first values:
    `from_folder(folder, outputs=4, skip="output/*")`.

    Args:
        folder: The folder.
        skip: Patterns of the network's names that keep their first values, as for `load`.
        ignore: Patterns of names in the file that may be left over, as for `load`.
        cast: Whether floats of another width, such as bfloat16, are converted.
        key: Random key of the first values of arrays that are not loaded.
        **options: Arguments of the network, as for `from_config`.

    Returns:
        The network as a study takes it, and `(params, state)`.

    Raises:
        ValueError: As `from_config` and `load`.
    """
    tensors = read(folder)
    if not tensors.config:
        raise ValueError(
            f"The folder must hold {_FILE}, which {tensors.path} does not. Make the network "
            "yourself, and call jnn.weights.load."
        )
    network = from_config(tensors.config, **options)
    _check_layers(network, tensors)
    family = tensors.config["model_type"]
    variables = load(
        tensors, network, family=family, skip=skip, ignore=ignore, cast=cast, key=key
    )  # fmt: skip
    return network, variables


def _check_layers(network: Callable[..., Any], tensors: Tensors) -> None:
    """Raise ValueError for a network of very many layers before it is built."""
    numbers = getattr(network, "keywords", {})
    layers = numbers.get("layers", sum(numbers.get("depths", ())))
    if isinstance(layers, int) and layers > len(tensors):
        raise ValueError(
            f"The config of {tensors.path} must have as many layers as there are weights for, got "
            f"{layers} layers and {len(tensors)} tensors. Correct it."
        )


def _read_config(path: str | os.PathLike[str]) -> Config:
    place = expand(path)
    return read_json(place / _FILE if place.is_dir() else place)


def sizes(config: Config, **names: str) -> dict[str, int]:
    """Return settings of a config that are sizes by the names that the network has for them.

    Raises:
        ValueError: If one is missing, or no positive integer.
    """
    if absent := sorted({*names.values()} - config.keys()):
        raise ValueError(
            f"The config of {config.get('model_type')!r} must have {absent}, which it lacks. Add "
            "the sizes of the network."
        )
    return {own: check_integer(name, config[name]) for own, name in names.items()}


def number(config: Config, name: str, default: float | None = None) -> float:
    """Return a setting of a config that is a positive number.

    Raises:
        ValueError: If it is none, or is missing and has no default.
    """
    value = config.get(name, default)
    check_number(name, value, POSITIVE)
    return float(value)


def size_of_each(config: Config, name: str) -> tuple[int, ...]:
    """Return a setting of a config that is a list of sizes.

    Raises:
        ValueError: If it is missing, or no list of positive integers.
    """
    values = config.get(name)
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(
            f"{name} of the config of {config.get('model_type')!r} must be a list of sizes, got "
            f"{values!r:.80}. Correct it."
        )
    return tuple(check_integer(name, value) for value in values)


def classes(config: Config) -> int | None:
    """Return the number of classes of a config; None for a network without a head."""
    if any(name.endswith("Model") for name in config.get("architectures") or ()):
        return None
    labels = config.get("id2label")
    count = len(labels) if isinstance(labels, Mapping) else config.get("num_labels", 2)
    return check_integer("num_labels", count)


def check_settings(config: Config, **allowed: Any) -> None:
    """Raise ValueError for a setting of a config that the network cannot have.

    Args:
        config: The config; a setting that it lacks is right.
        **allowed: The value that a setting must have, or a tuple of the values it may have.
    """
    for name, values in allowed.items():
        values = values if isinstance(values, tuple) else (values,)
        if config.get(name, values[0]) not in values:
            words = " or ".join(map(repr, values))
            raise ValueError(
                f"{name} of the config of {config.get('model_type')!r} must be {words}, got "
                f"{config[name]!r:.80}. jnn's network has nothing else; make one that has, and "
                "pass jnn.weights.load a table of rules."
            )
