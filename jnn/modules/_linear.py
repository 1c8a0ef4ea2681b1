"""Linear maps: dense layers, embeddings, and the low-rank update of a layer that stays as it is."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._settings import check_integer, check_number
from jnn._signature import with_signature
from jnn.layers import dense, dot_general, embedding
from jnn.modules._promotion import narrow_output, promote_with_wide_bias

_LECUN = nnx.initializers.lecun_normal()
_ZEROS = nnx.initializers.zeros_init()
_TABLE = nnx.initializers.variance_scaling(1.0, "fan_in", "normal", out_axis=0)


@with_signature
class Dense(nnx.Linear):
    """A dense layer: y = x kernel + bias, over the last axis of x.

    It is `flax.nnx.Linear` with the product of `jnn.layers`, whose gradient with respect to the
    kernel is faster for small layers on a CPU. It maps [*batch, in] to [*batch, out]. Its
    parameters are `kernel` [in, out] and `bias` [out].

    >>> Dense(4, 2, rngs=nnx.Rngs(0))(jnp.ones((8, 4))).shape
    (8, 2)

    Args:
        in_features: Number of features of x.
        out_features: Number of features of y.
        use_bias: Whether to add a learned bias.
        kernel_init: Initializer of the kernel.
        bias_init: Initializer of the bias.
        dot_general: The product, called like `jax.lax.dot_general`.
        rngs: Keys of the stream `params`.
        **options: Other arguments of `flax.nnx.Linear`, such as `dtype`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        use_bias: bool = True,
        kernel_init: nnx.Initializer = _LECUN,
        bias_init: nnx.Initializer = _ZEROS,
        dot_general: Callable[..., jax.Array] = dot_general,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        super().__init__(
            in_features,
            out_features,
            use_bias=use_bias,
            kernel_init=kernel_init,
            bias_init=bias_init,
            dot_general=dot_general,
            rngs=rngs,
            **{"promote_dtype": promote_with_wide_bias, **options},
        )

    def __call__(self, inputs: jax.Array, out_sharding: Any = None) -> jax.Array:
        """Map the last axis: [*batch, in] -> [*batch, out]."""
        return narrow_output(self, super().__call__(inputs, out_sharding), inputs)


@with_signature
class Embedding(nnx.Embed):
    """A table of vectors, of which each id selects one row.

    It is `flax.nnx.Embed` with ids outside the table clipped to its ends, as in
    `jnn.layers.embedding`: a negative id selects the first row and an id past the end the last.
    (Flax counts negative ids from the end and returns NaN for those outside.) Its parameter is
    `embedding` [num_embeddings, features].

    Args:
        num_embeddings: Number of ids, the size of the vocabulary.
        features: Number of features of a vector.
        embedding_init: Initializer of the table.
        rngs: Keys of the stream `params`.
        **options: Other arguments of `flax.nnx.Embed`, such as `dtype`.
    """

    def __init__(
        self,
        num_embeddings: int,
        features: int,
        *,
        embedding_init: nnx.Initializer = _TABLE,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        super().__init__(
            num_embeddings, features, embedding_init=embedding_init, rngs=rngs, **options
        )
        self.dtype = options.get("dtype")  # None, as in other layers, for the type of the table

    def __call__(self, inputs: jax.Array, out_sharding: Any = None) -> jax.Array:
        """Return the vectors of integer ids: [*batch] -> [*batch, features].

        Raises:
            TypeError: If the ids are not integers.
        """
        if not jnp.issubdtype(inputs.dtype, jnp.integer):
            raise TypeError(
                f"Embedding takes integer ids, got an array of {inputs.dtype}. Convert it with "
                "astype(int), or keep ids in a data set by jnn.Dataset.from_arrays(x, y, ids=True)."
            )
        if out_sharding is not None:
            return super().__call__(jnp.clip(inputs, 0, self.num_embeddings - 1), out_sharding)
        (table,) = self.promote_dtype((self.embedding[...],), dtype=self.dtype, inexact=False)
        return embedding(jnp.asarray(inputs), table)


@with_signature
class LoRA(nnx.Module):
    """A layer and a low-rank update of it that is learned: y = base(x) + alpha / rank * (x a) b.

    Hu et al. (2021), arXiv:2106.09685. Since b starts at zero, it starts as the base. Its
    parameters are `base_module`, `lora_a` [in, rank] and `lora_b` [rank, out], as in
    `flax.nnx.LoRA`, which has alpha = rank. The last two are of the type `nnx.LoRAParam`, by which
    an optimizer can tell them from those of the base.

    `jnn.layers.lora` takes the factor alpha / rank itself, as its argument `scale`.

    Args:
        base: The `Dense` layer that is updated.
        rank: Rank of the update.
        alpha: Strength of the update before it is divided by the rank; by default the rank, which
            makes the factor 1.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If the rank is below 1.
    """

    def __init__(self, base: nnx.Linear, rank: int, *, alpha: float | None = None, rngs: nnx.Rngs):
        check_integer("rank", rank, advice="Set it to e.g. 8.")
        if alpha is not None:
            check_number("alpha", alpha, advice="The default is the rank.")
        inputs, outputs = base.kernel.shape
        self.base_module = base
        self.scale = 1.0 if alpha is None else alpha / rank
        self.lora_a = nnx.LoRAParam(nnx.initializers.he_uniform()(rngs.params(), (inputs, rank)))
        self.lora_b = nnx.LoRAParam(jnp.zeros((rank, outputs)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the updated layer: [*batch, in] -> [*batch, out]."""
        update = dense(dense(x, self.lora_a[...]), self.lora_b[...])
        return self.base_module(x) + self.scale * update
