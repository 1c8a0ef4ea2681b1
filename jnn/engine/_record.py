"""What a step records beside its loss (`Study.record`)."""

from typing import Any

import jax
import optax

from jnn.engine._state import Tree
from jnn.study import Study


def logs_of(study: Study, loss: jax.Array, gradients: Tree, opt_state: Tree) -> Any:
    """Return the loss, or a dict with the other numbers of the step that the study records.

    Args:
        study: What is trained.
        loss: The mean loss of the batch.
        gradients: Of the loss and the penalty.
        opt_state: The state of the optimizer after the step.

    Raises:
        ValueError: If the learning rate is recorded, and the optimizer does not have it.
    """
    logs = {"loss": loss}
    if "gradient_norm" in study.record:
        logs["gradient_norm"] = optax.tree.norm(gradients)
    if "learning_rate" in study.record:
        logs["learning_rate"] = _learning_rate(opt_state)
    return logs if len(logs) > 1 else loss


def _learning_rate(opt_state: Tree) -> jax.Array:
    """Return the learning rate that the state of an optimizer holds."""
    found = optax.tree.get_all_with_path(opt_state, "learning_rate")
    rates = [value for _, value in found if not isinstance(value, tuple)]
    if len(rates) != 1:
        raise ValueError(
            "record='learning_rate' reads it from the state of the optimizer, where there must be "
            f"one, got {len(rates)}. Make the optimizer by optax.inject_hyperparams(optax.adam)("
            "learning_rate=...) with a number or a schedule."
        )
    return rates[0]
