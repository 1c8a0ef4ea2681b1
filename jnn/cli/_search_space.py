"""What `jnn search` searches in the networks that have a name: the space, and what it makes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jnn import search
from jnn.cli._command import Search
from jnn.cli._job import metrics_of
from jnn.cli._space import Dimension, parse_space, refuse
from jnn.recipes import (
    ACTIVATIONS,
    BATCH_SIZE,
    EPOCHS,
    OPTIMIZERS,
    About,
    make_study,
    network_choices,
    takes_option,
    with_choices,
)
from jnn.study import Choice, Study, grid

PARAMETERS = "parameters"  # which a search may have as a further metric
_NUMBERS = ("learning_rate", "weight_decay", "dropout_rate")  # of members of one program
_WORDS = {"activation": tuple(ACTIVATIONS), "optimizer": tuple(OPTIMIZERS)}
_OPTIONS = ("dropout_rate", "activation")  # that some networks take
_ONLY_OPTIONS = ("evolution", "reinforce")  # strategies that search no ranges
_ONE_PROGRAM = ("population_based",)  # strategies that search nothing that shapes the network


def make_space(command: Search, about: About) -> search.Space:
    """Return the space of a command whose model, or models, are known.

    A choice that only some of several models have applies to these alone.

    Raises:
        ValueError: If a choice is none of the models, or its values are wrong.
    """
    dimensions = parse_space(command.space or ())
    for name, value in (("model", command.model), ("batch_size", command.batch_size)):
        if name in dimensions and value is not None:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} must be left out: --space names the values of {name}.")
    models = _models(dimensions, command.model)
    by_model = {model: set(network_choices(model, about)) for model in models}
    for model, names in by_model.items():
        names |= {name for name in _OPTIONS if takes_option(model, about, name)}
    everywhere = {"model", "batch_size", "optimizer", "learning_rate", "weight_decay"}
    known = everywhere.union(*by_model.values())
    space: dict[str, Any] = {"model": dimensions["model"]} if "model" in dimensions else {}
    for name, dimension in dimensions.items():
        if name not in known:
            raise ValueError(_unknown(name, known, models))
        checked = _checked(name, dimension)
        having = frozenset(model for model in models if name in everywhere | by_model[model])
        if len(having) < len(models):
            checked = search.when(lambda c, having=having: c["model"] in having, checked)
        space.setdefault(name, checked)
    return search.space(**space)


def default_space(model: str, about: About, strategy: str) -> tuple[str, ...]:
    """Return what is searched where nothing is said, as a strategy can search it."""
    has_dropout = takes_option(model, about, "dropout_rate")
    width = network_choices(model, about).get("width")
    words = ["learning_rate=log:1e-4:1e-1", "weight_decay=log:1e-6:1e-1"]
    dropout = "dropout_rate=0:0.5"
    if strategy in _ONLY_OPTIONS:
        words = ["learning_rate=3e-4,1e-3,3e-3,1e-2,3e-2", "weight_decay=1e-6,1e-4,1e-2"]
        dropout = "dropout_rate=0,0.2,0.5"
    if has_dropout:
        words.append(dropout)
    if width is not None and strategy not in _ONE_PROGRAM:
        words.append(f"width={max(1, width // 2)},{width},{2 * width}")
    return tuple(words)


def studies_of(command: Search, about: About) -> Callable[[search.Choices], Study]:
    """Return the function that makes the study of a setting.

    Args:
        command: A command with all that it leaves open, as `make_search_job` returns it.
        about: Description of the data.
    """
    names = parse_space(command.space or ())
    metrics = [name for name in metrics_of(command.metric) or () if name != PARAMETERS]

    def study_of(c: search.Choices) -> Study:
        model = str(c["model"] if "model" in names else command.model)
        numbers = network_choices(model, about)
        sizes = {name: int(c[name]) for name in names if name in numbers}
        decays = [name for name in ("weight_decay",) if name in names]
        drops = "dropout_rate" in names and takes_option(model, about, "dropout_rate")
        is_active = "activation" in names and takes_option(model, about, "activation")
        return make_study(
            about,
            model=with_choices(model, about, sizes) if sizes else model,
            hyper=dict.fromkeys([*decays, *["dropout_rate"] * drops], 0.0),
            metrics=metrics or None,
            epochs=EPOCHS if command.epochs is None else command.epochs,
            batch_size=int(c["batch_size"] if "batch_size" in names else _batch_size(command)),
            steps_per_epoch=command.steps_per_epoch,
            activation=str(c["activation"]) if is_active else None,
            optimizer=str(c["optimizer"]) if "optimizer" in names else "adam",
        )

    return study_of


def _models(dimensions: Mapping[str, Dimension], model: str | None) -> tuple[str, ...]:
    if "model" not in dimensions:
        return (str(model),)
    options = dimensions["model"]
    assert isinstance(options, Choice)
    return tuple(map(str, options.options))


def _unknown(name: str, known: set[str], models: Sequence[str]) -> str:
    remedy = ""
    if name in ("width", "depth") and "width" not in known:
        remedy = " Or give the sizes of its layers, such as --model mlp:64."
    return (
        f"--space must name what can be searched with the model {' or '.join(models)}, which is "
        f"{', '.join(sorted(known))}, got {name!r}.{remedy}"
    )


def _checked(name: str, dimension: Dimension) -> Dimension:
    """Return a distribution whose values the choice of this name can have."""
    options = list(dimension.options) if isinstance(dimension, Choice) else []
    typed = f"{name}={','.join(map(str, options))}" if options else _typed(name, dimension)
    if name in _NUMBERS:
        if any(isinstance(option, str) for option in options):
            refuse(typed, "must have numbers as its values")
        bounds = options or [dimension.low, dimension.high]  # type: ignore[union-attr]
        grid(**{name: bounds})  # refuses what no member could have
        if min(bounds) < 0:
            refuse(typed, "must be at least 0")
        return Choice(tuple(map(float, options))) if options else dimension
    if not options:
        refuse(typed, "shapes the program, so it must be a list of values")
    if name in _WORDS and (wrong := [o for o in options if o not in _WORDS[name]]):
        raise ValueError(
            f"--space {name} must be among {', '.join(_WORDS[name])}, got {str(wrong[0])!r}."
        )
    if name == "model" or name in _WORDS:
        return dimension
    if not all(isinstance(option, int) and option > 0 for option in options):
        refuse(typed, "must have whole numbers of at least 1")
    return dimension


def _typed(name: str, dimension: Any) -> str:
    return f"{name}={dimension.low:g}:{dimension.high:g}"


def _batch_size(command: Search) -> int:
    return BATCH_SIZE if command.batch_size is None else command.batch_size
