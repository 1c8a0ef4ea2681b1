"""Networks that stay in one mode: refused in a sentence that names the way out."""

import traceback
from collections.abc import Iterable
from typing import Any

import flax.linen as nn
import jax
from flax import nnx

from jnn.model._errors import NetworkError
from jnn.model._fixed_statistics import are_statistics_fixed
from jnn.model._switch import TrainKeyword

_DROPPING = (nn.Dropout, nnx.Dropout, nn.MultiHeadDotProductAttention, nnx.MultiHeadAttention)


def check_moves(
    owner: str,
    train_keyword: TrainKeyword,
    switches: Iterable[str],
    *,
    statistics_rest: bool,
    dropout_rests: bool,
) -> None:
    """Raise NetworkError for a network that trains as it is scored.

    Args:
        owner: Name of the network.
        train_keyword: As in `jnn.Study`. Values written out there are taken as they are.
        switches: The names of the switches that were found.
        statistics_rest: Whether it has batch statistics and none of them changed.
        dropout_rests: Whether it has dropout of a rate above 0 and none of it drew.
    """
    statistics_rest = statistics_rest and not are_statistics_fixed()
    if not (statistics_rest or dropout_rests):
        return
    if train_keyword is not None and not isinstance(train_keyword, str):
        return
    what = " and ".join(
        words
        for words, rests in (
            ("batch statistics that do not change", statistics_rest),
            ("dropout that drops nothing", dropout_rests),
        )
        if rests
    )
    meant = dict.fromkeys(switches, (True, False))
    raise NetworkError(
        f"{owner} must switch to training, but it has {what} while it trains. Name the keyword or "
        "attribute that switches it, Study(train_keyword='enable_dropout'); if it is meant so, "
        f"write Study(train_keyword={meant})."
    )


def check_decision(owner: str, error: Exception) -> None:
    """Raise NetworkError if a layer of Flax took a member's number for a fixed rate."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        layer = frame.f_locals.get("self")
        if isinstance(layer, _DROPPING):
            own = "jnn.modules.Dropout" if isinstance(layer, nnx.Module) else "jnn.layers.dropout"
            raise NetworkError(
                f"The dropout rate of {type(layer).__name__} in {owner} must be a fixed number, as "
                f"Flax decides by it while tracing, got a number of the members. Use {own}, whose "
                "rate may differ between members."
            ) from error


def all_same(before: Any, after: Any) -> bool:
    """Return whether there are arrays and all of them are the very same objects."""
    old, new = jax.tree.leaves(before), jax.tree.leaves(after)
    return bool(old) and len(old) == len(new) and all(map(lambda a, b: a is b, old, new))
