"""The variable by which an NNX module declares a hyper-parameter that members may set."""

from flax import nnx


class Hyper(nnx.Variable):
    """An NNX variable that holds a hyper-parameter, which members may set by its name.

    For example `self.dropout_rate = jnn.Hyper(jnp.float32(0.1))` in `__init__`. The name of the
    attribute is the name of the hyper-parameter, and the value passed here is its default. Read it
    in `__call__` as `self.dropout_rate[...]`. The number is traced, so members with different
    values share one compiled program. If only some whole numbers are valid, declare them, and all
    others are refused: `jnn.Hyper(jnp.float32(4), choices=range(1, 5))`.
    """
