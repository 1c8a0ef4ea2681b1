"""A member that begins with parameters which another training has learned."""

from collections.abc import Callable

from jnn import paths
from jnn.engine._average import evaluated_variables
from jnn.engine._program import Training, with_variables
from jnn.engine._state import Tree
from jnn.engine._trainer import Trainer
from jnn.study import Study


def make_begin_from(
    study: Study, trainer: Trainer
) -> Callable[[Training, tuple[Tree, Tree]], Training]:
    """Make `begin_from(training, (params, model_state)) -> Training`.

    It replaces what a member has drawn, before its first epoch, and begins the state of its
    optimizer and its averages anew from there. In the two trees None stands for what the member
    has drawn itself.

    Args:
        study: What is trained.
        trainer: Its trainer, which has a `restart`.
    """
    assert trainer.restart is not None
    restart = trainer.restart

    def begin_from(training: Training, variables: tuple[Tree, Tree]) -> Training:
        params, model_state = variables
        drawn = training.state.trained
        trained = drawn._replace(
            params=paths.join(params, drawn.params),
            model_state=paths.join(model_state, drawn.model_state),
        )
        state = restart(training.state, trained)
        averaged = evaluated_variables(study, state)
        best = training.best
        if best is not None:
            best = best._replace(trained=with_variables(trained, averaged))
        return Training(state, training.history, best, averaged)

    return begin_from
