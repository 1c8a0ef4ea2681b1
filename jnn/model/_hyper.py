"""The variable by which an NNX module declares a number that members may set."""

from flax import nnx


class Hyper(nnx.Variable):
    """An NNX variable that a member may set by name: `self.dropout_rate = jnn.Hyper(jnp.float32(0.1))`.

    The attribute's name is the hyper-parameter's name; the value given here is the default. Read it in `__call__` as
    `self.dropout_rate[...]`. It is a number that is traced, so members with different values share one program.
    Where only some whole numbers make sense, name them, and others are refused: `Hyper(depth, choices=range(1, 5))`.
    """
