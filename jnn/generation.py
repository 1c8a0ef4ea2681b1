"""Text from a language model: what to draw from its logits, and the loop that draws."""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Integer, PRNGKeyArray

Number = float | Float[Array, ""]


class Decoder(Protocol):
    """A language model that goes on from what it has read: `jnn.models.GPT`, `jnn.models.LanguageModel`, or yours."""

    def start(self, batch: int, capacity: int) -> Any:
        """The memory of nothing, with room for `capacity` ids."""
        ...

    def decode(self, ids: Array, memory: Any) -> tuple[Array, Any]:
        """Reads the next ids [batch, time] -> logits [batch, time, vocabulary] and the memory of all so far."""
        ...


def generate(
    model: Decoder,
    prompt: Integer[Array, "batch time"],
    length: int,
    *,
    key: PRNGKeyArray | None = None,
    temperature: Number = 1.0,
    top_k: int | None = None,
    top_p: Number | None = None,
) -> Integer[Array, "batch length"]:
    """Goes on with each prompt by `length` ids, one `lax.scan` that keeps what it has read.

    Pure, so it may be jitted, or vmapped over the members of a result:

        def go_on(one, key):
            model = jnn.as_module(factory, one.params, one.model_state, one.hyper)
            return jnn.generate(model, prompt, 100, key=key)

        jax.vmap(go_on)(result.trained, keys)

    Args:
        model: With `start` and `decode`; see `Decoder`. It must not be training, as none is from `jnn.as_module`; call
            `eval()` of an NNX module of your own before, for dropout cannot draw from its own keys inside the loop.
        prompt: Ids, at least one.
        length: How many ids follow.
        key: Of the draws; without one the likeliest id follows.
        temperature: See `draw`.
        top_k: See `draw`.
        top_p: See `draw`.

    Returns:
        The ids that follow, without the prompt.

    Raises:
        ValueError: For no or an empty prompt or no length, and by GPT for more positions than it has;
            `generate_sliding` has no such end.
    """
    batch = _checked(prompt, length)
    keys = None if key is None else jax.random.split(key, length)
    choose = lambda key, logits: draw(
        logits, key=key, temperature=temperature, top_k=top_k, top_p=top_p
    )  # noqa: E731
    logits, memory = model.decode(prompt, model.start(batch, prompt.shape[1] + length - 1))

    def step(carry, key):
        logits, memory = carry
        ids = choose(key, logits)
        logits, memory = model.decode(ids[:, None], memory)
        return (logits[:, -1], memory), ids

    first = None if keys is None else keys[:-1]
    (logits, _), ids = lax.scan(step, (logits[:, -1], memory), first, length=length - 1)
    last = choose(None if keys is None else keys[-1], logits)  # nothing needs to be read after it
    return jnp.concatenate([ids, last[None]]).T.astype(prompt.dtype)


def generate_sliding(
    model: Any,
    prompt: Integer[Array, "batch time"],
    length: int,
    window: int,
    *,
    key: PRNGKeyArray | None = None,
    temperature: Number = 1.0,
    top_k: int | None = None,
    top_p: Number | None = None,
) -> Integer[Array, "batch length"]:
    """`generate` without a memory: for each id the model reads the last `window` ids anew, so texts have no end.

    Args:
        model: Causal: ids [batch, window] -> logits [batch, window, vocabulary], such as `jnn.models.GPT`; see
            `generate` for one with dropout.
        prompt: Ids, at least one; the last `window` count.
        length: How many ids follow.
        window: Ids that the model sees; the `length` of a GPT.
        key: Of the draws; without one the likeliest id follows.
        temperature: See `draw`.
        top_k: See `draw`.
        top_p: See `draw`.

    Returns:
        The ids that follow, without the prompt.

    Raises:
        ValueError: For no or an empty prompt, no length or no window.
    """
    _checked(prompt, length)
    if window < 1:
        raise ValueError(
            f"wanted a window of at least 1 id, but got {window}; use the length of the model"
        )
    kept = prompt[:, -window:]
    seen = jnp.pad(kept, ((0, 0), (0, window - kept.shape[1])))
    keys = None if key is None else jax.random.split(key, length)

    def step(carry, key):
        seen, count = carry
        logits = lax.dynamic_index_in_dim(model(seen), count - 1, axis=1, keepdims=False)
        ids = draw(logits, key=key, temperature=temperature, top_k=top_k, top_p=top_p).astype(
            seen.dtype
        )
        full = count == window
        moved = jnp.where(full, jnp.roll(seen, -1, axis=1), seen)
        at = jnp.where(full, window - 1, count)
        return (lax.dynamic_update_slice_in_dim(moved, ids[:, None], at, axis=1), at + 1), ids

    _, ids = lax.scan(step, (seen, jnp.int32(kept.shape[1])), keys, length=length)
    return ids.T


def draw(
    logits: Float[Array, "*batch vocabulary"],
    *,
    key: PRNGKeyArray | None = None,
    temperature: Number = 1.0,
    top_k: int | None = None,
    top_p: Number | None = None,
) -> Integer[Array, "*batch"]:
    """Draws an id from softmax(logits / temperature), cut by `keep_top_k` and then by `keep_top_p`.

    Args:
        logits: Any leading axes; drawn from in float32 if they are shorter.
        key: Random key; without one the likeliest id is taken.
        temperature: Below 1 the likely ids become likelier; 0 takes the likeliest. It may be traced.
        top_k: How many ids may be drawn.
        top_p: The share of probability that may be drawn, after temperature.

    >>> draw(jnp.array([0.0, 3.0, 1.0]), key=jax.random.key(0), temperature=0.0)
    Array(1, dtype=int32)
    """
    best = jnp.argmax(logits, axis=-1)
    if key is None:
        return best
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    scaled = logits / jnp.maximum(
        jnp.asarray(temperature, logits.dtype), jnp.finfo(logits.dtype).tiny
    )
    scaled = scaled if top_k is None else keep_top_k(scaled, top_k)
    scaled = scaled if top_p is None else keep_top_p(scaled, top_p)
    return jnp.where(jnp.asarray(temperature) > 0, jax.random.categorical(key, scaled), best)


def keep_top_k(
    logits: Float[Array, "*batch vocabulary"], k: int
) -> Float[Array, "*batch vocabulary"]:
    """The k largest logits, the others -inf; equal ones at the edge all stay (Fan et al. 2018, arXiv:1805.04833).

    Raises:
        ValueError: If k is no number of ids from 1 to the vocabulary's.

    >>> keep_top_k(jnp.array([1.0, 3.0, 2.0]), 2)
    Array([-inf,   3.,   2.], dtype=float32)
    """
    if not 1 <= k <= logits.shape[-1]:
        raise ValueError(
            f"wanted top_k from 1 to {logits.shape[-1]}, the number of ids, but got {k}"
        )
    smallest = lax.top_k(logits, k)[0][..., -1:]
    return jnp.where(logits >= smallest, logits, -jnp.inf)


def keep_top_p(
    logits: Float[Array, "*batch vocabulary"], p: Number
) -> Float[Array, "*batch vocabulary"]:
    """The likeliest ids that together reach probability p, the others -inf (Holtzman et al. 2020, arXiv:1904.09751).

    The likeliest always stays. Ids as likely as the last one that is needed stay too, and by p = 1 all do. p may be
    traced. Shares are summed in float32 at least.

    Raises:
        ValueError: If p is a number outside 0 to 1.

    >>> keep_top_p(jnp.log(jnp.array([0.2, 0.5, 0.3])), 0.6) > -jnp.inf
    Array([False,  True,  True], dtype=bool)
    """
    if isinstance(p, (int, float)) and not 0 <= p <= 1:
        raise ValueError(f"wanted top_p between 0 and 1, a share of probability, but got {p}")
    descending = jnp.sort(logits, axis=-1, descending=True)
    shares = jax.nn.softmax(
        descending.astype(jnp.promote_types(logits.dtype, jnp.float32)), axis=-1
    )
    before = jnp.cumsum(shares, axis=-1) - shares  # what the likelier ones have already reached
    needed = (
        ((before < p) | (p >= 1)).at[..., 0].set(True)
    )  # by rounding, before reaches 1 too soon
    smallest = jnp.min(jnp.where(needed, descending, jnp.inf), axis=-1, keepdims=True)
    return jnp.where(logits >= smallest, logits, -jnp.inf)


def _checked(prompt: Array, length: int) -> int:
    """The number of prompts."""
    if prompt.ndim != 2 or 0 in prompt.shape or length < 1:
        raise ValueError(
            "wanted prompts [batch, time], at least one of at least one id, and a length of at least 1, but got "
            f"{prompt.shape} and {length}; begin with e.g. a line break"
        )
    return prompt.shape[0]
