"""The switch by which a network is told whether it trains: found by its name, or named.

A switch is a keyword of the network's call, or an attribute of it, with a value in training and a
value in scoring.
"""

import enum
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

TrainKeyword = str | Mapping[str, tuple[Any, Any]] | None


class Values(NamedTuple):
    """What a switch is set to.

    Attributes:
        training: The value while the network trains.
        scoring: The value while it is scored.
    """

    training: Any
    scoring: Any

    def at(self, train: bool) -> Any:
        """Return the value of this mode."""
        return self.training if train else self.scoring


_ON = Values(True, False)
_OFF = Values(False, True)
_CERTAIN = {  # these say nothing else, so that they may also be attributes
    "train": _ON,
    "training": _ON,
    "is_train": _ON,
    "is_training": _ON,
    "train_mode": _ON,
    "training_mode": _ON,
    "in_training": _ON,
    "deterministic": _OFF,
    "is_deterministic": _OFF,
    "use_running_average": _OFF,
    "use_running_averages": _OFF,
    "use_running_stats": _OFF,
    "eval": _OFF,
    "eval_mode": _OFF,
    "is_eval": _OFF,
    "evaluation": _OFF,
    "inference": _OFF,
    "inference_mode": _OFF,
    "is_inference": _OFF,
}
_LIKELY = {  # these are switches if they are true or false
    "do_train": _ON,
    "for_training": _ON,
    "is_train_mode": _ON,
    "is_training_mode": _ON,
    "dropout": _ON,
    "enable_dropout": _ON,
    "use_dropout": _ON,
    "apply_dropout": _ON,
    "with_dropout": _ON,
    "do_dropout": _ON,
    "dropout_enabled": _ON,
    "stochastic": _ON,
    "is_stochastic": _ON,
    "update_stats": _ON,
    "update_batch_stats": _ON,
    "use_batch_stats": _ON,
    "disable_dropout": _OFF,
    "no_dropout": _OFF,
    "evaluate": _OFF,
    "evaluating": _OFF,
    "is_evaluating": _OFF,
    "is_evaluation": _OFF,
    "infer": _OFF,
    "predict": _OFF,
    "predicting": _OFF,
    "is_predicting": _OFF,
    "test": _OFF,
    "testing": _OFF,
    "is_test": _OFF,
    "is_testing": _OFF,
    "test_mode": _OFF,
    "testing_mode": _OFF,
    "use_global_stats": _OFF,
}
_WORDS = {word for name in (*_CERTAIN, *_LIKELY) for word in name.split("_")} & {
    *("train", "training", "eval", "evaluate", "evaluation", "infer", "inference"),
    *("deterministic", "dropout", "stochastic", "test", "testing", "predict", "predicting"),
}
_TRAIN_WORDS = ("train", "training")
_SCORING_WORDS = ("eval", "evaluation", "evaluate", "test", "inference", "infer", "predict")


def switches_of(
    call: Callable[..., Any], train_keyword: TrainKeyword = None, *, owner: str = "the network"
) -> dict[str, Values]:
    """Return the switches of a network, by the names of the keywords of its call.

    Args:
        call: What is called with x: the `__call__` of a module, or the `apply` of a pair.
        train_keyword: As in `jnn.Study`: the name of a switch, the values of switches by name, or
            None to find them.
        owner: Name of the network, for error messages.

    Raises:
        ValueError: If nothing is named and the call has no switch but a keyword that reads like
            one; its default would hold in both modes.
    """
    parameters = inspect.signature(call).parameters
    if train_keyword is None:
        switches = _found(parameters, call)
        if not switches:
            _refuse_unknown(parameters, owner)
        return switches
    if isinstance(train_keyword, str):
        parameter = parameters.get(train_keyword)
        values = None if parameter is None else _values_of(train_keyword, parameter, call)
        return {train_keyword: values or known_values(train_keyword) or _ON}
    return {name: Values(*values) for name, values in train_keyword.items()}


def known_values(name: str, *, certain: bool = False) -> Values | None:
    """Return the values that a switch of this name takes; None for another name.

    Args:
        name: Of a keyword or an attribute.
        certain: Whether to know only names that cannot mean anything else.
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().strip("_")
    return _CERTAIN.get(words) or (None if certain else _LIKELY.get(words))


def check_train_keyword(train_keyword: Any) -> None:
    """Raise TypeError unless `train_keyword` is None, a name, or pairs of values by name."""
    if train_keyword is None or (isinstance(train_keyword, str) and train_keyword):
        return
    is_mapping = isinstance(train_keyword, Mapping)
    if is_mapping and all(isinstance(name, str) for name in train_keyword):
        pairs = train_keyword.values()
        if all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
            return
    raise TypeError(
        "train_keyword must be the name of the switch that the network is called with, or a dict "
        f"of its values in training and in scoring, got {train_keyword!r}. Write for example "
        "train_keyword='enable_dropout' or train_keyword={'mode': ('train', 'eval')}."
    )


def _found(
    parameters: Mapping[str, inspect.Parameter], call: Callable[..., Any]
) -> dict[str, Values]:
    values = {name: _values_of(name, p, call) for name, p in parameters.items()}
    return {name: pair for name, pair in values.items() if pair is not None}


def _values_of(name: str, parameter: inspect.Parameter, call: Callable[..., Any]) -> Values | None:
    """Return the values of a keyword that is a switch, else None."""
    default = parameter.default
    if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
        return None
    if isinstance(default, str | enum.Enum) or name == "mode":
        return _words_of(parameter, call)
    says_bool = isinstance(default, bool) or "bool" in _annotation(parameter)
    if known_values(name, certain=True):
        says_more = default is not parameter.empty and default is not None
        is_flag = says_bool or not (says_more or _annotation(parameter))
        return known_values(name) if is_flag else None
    return known_values(name) if says_bool else None


def _words_of(parameter: inspect.Parameter, call: Callable[..., Any]) -> Values | None:
    """Return the words of a switch such as `mode="train"`, as far as the code tells them."""
    default = parameter.default
    if isinstance(default, enum.Enum):
        words = {member.name.lower(): member for member in type(default)}
    else:
        function = inspect.unwrap(getattr(call, "__func__", call))
        constants = getattr(getattr(function, "__code__", None), "co_consts", ())
        quoted = re.findall(r"['\"](\w+)['\"]", _annotation(parameter))
        texts = [text for text in (*constants, *quoted, default) if isinstance(text, str)]
        words = {text.lower(): text for text in texts}
    training = [words[word] for word in _TRAIN_WORDS if word in words]
    scoring = [words[word] for word in _SCORING_WORDS if word in words]
    if isinstance(default, str) and default in training + scoring:
        return Values((training or ["train"])[0], (scoring or ["eval"])[0])
    return Values(training[0], scoring[0]) if training and scoring else None


def _annotation(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return ""
    return getattr(annotation, "__name__", "") + " " + str(annotation)


def _refuse_unknown(parameters: Mapping[str, inspect.Parameter], owner: str) -> None:
    """Raise ValueError for a keyword that reads like a switch whose meaning is not known."""
    for name, parameter in parameters.items():
        if isinstance(parameter.default, bool) and _WORDS & set(name.lower().split("_")):
            raise ValueError(
                f"The keyword of {owner} that switches training on or off must be one of "
                f"{sorted(_CERTAIN)}, got {name}={parameter.default}. Rename it, or tell its "
                f"values in training and in scoring: Study(train_keyword={{{name!r}: (True, "
                "False)})."
            )
