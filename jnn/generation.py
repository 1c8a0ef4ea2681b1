"""Text from a language model: the draw of an id from its logits, and the loop that generates."""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from jnn._arrays import as_array
from jnn._settings import NOT_NEGATIVE, SHARE, check_integer, check_number, known

__all__ = [
    "Decoder",
    "draw",
    "generate",
    "generate_sliding",
    "keep_top_k",
    "keep_top_p",
]


def __dir__() -> list[str]:
    return __all__


Number = float | Float[Array, ""]


class Decoder(Protocol):
    """A language model with a cache: `jnn.models.GPT`, `Llama`, `LanguageModel`, or your own."""

    def start(self, batch: int, capacity: int) -> Any:
        """Return an empty cache for up to `capacity` ids."""
        ...

    def decode(self, ids: Array, cache: Any) -> tuple[Array, Any]:
        """Read the next ids [batch, time] of a text whose earlier part is in the cache.

        Returns:
            The logits [batch, time, vocabulary] of each next id, and the cache with these ids.
        """
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
    """Generate `length` ids after each prompt, with a cache, in one `lax.scan`.

    It is pure, so it may be called under `jit`, or under `vmap` over the members of a result:

        def generate_one(trained, key):
            model = jnn.as_module(factory, trained.params, trained.model_state, trained.hyper)
            return jnn.generate(model, prompt, 100, key=key)

        jax.vmap(generate_one)(result.trained, keys)

    Args:
        model: Language model with the methods of `Decoder`, in evaluation mode: dropout cannot draw
            from the keys of a module inside the loop. `jnn.as_module` returns such a model; for an
            NNX module of your own, call its `eval()` first.
        prompt: Ids that the text begins with, at least one for each row.
        length: Number of ids to generate.
        key: Random key; without one the most likely id follows.
        temperature: Temperature of the draws, see `draw`.
        top_k: Number of ids that may be drawn, see `draw`.
        top_p: Share of probability that may be drawn, see `draw`.

    Returns:
        The generated ids, without the prompt.

    Raises:
        ValueError: If the prompt is empty or has an id that the model does not know, the length is
            below 1, or a setting makes no sense. `jnn.models.GPT` raises it also for more positions
            than it has; `generate_sliding` has no such limit.
    """
    prompt = as_array(prompt)
    _check_prompt(prompt, length)
    choose = _make_choose(temperature, top_k, top_p)
    keys = None if key is None else jax.random.split(key, length)
    batch, time = prompt.shape
    logits, cache = model.decode(prompt, model.start(batch, time + length - 1))
    _check_ids(prompt, logits.shape[-1])

    def step(carry, key):
        logits, cache = carry
        ids = choose(logits, key)
        logits, cache = model.decode(ids[:, None], cache)
        return (logits[:, -1], cache), ids

    scanned_keys = None if keys is None else keys[:-1]
    last_key = None if keys is None else keys[-1]
    carry, ids = lax.scan(step, (logits[:, -1], cache), scanned_keys, length=length - 1)
    # The last id is drawn outside the loop, as the model need not read it.
    last = choose(carry[0], last_key)
    return jnp.concatenate([ids, last[None]]).T.astype(prompt.dtype)


def generate_sliding(
    model: Callable[[Array], Array],
    prompt: Integer[Array, "batch time"],
    length: int,
    window: int,
    *,
    key: PRNGKeyArray | None = None,
    temperature: Number = 1.0,
    top_k: int | None = None,
    top_p: Number | None = None,
) -> Integer[Array, "batch length"]:
    """Generate ids without a cache: for each, the model reads the last `window` ids again.

    So the text may be longer than the model's positions.

    Args:
        model: Causal model from ids [batch, window] to logits [batch, window, vocabulary], such as
            `jnn.models.GPT`, in evaluation mode (see `generate`).
        prompt: Ids that the text begins with, at least one for each row, of which the model sees
            the last `window`.
        length: Number of ids to generate.
        window: Number of ids that the model sees; the `length` of a GPT.
        key: Random key; without one the most likely id follows.
        temperature: Temperature of the draws, see `draw`.
        top_k: Number of ids that may be drawn, see `draw`.
        top_p: Share of probability that may be drawn, see `draw`.

    Returns:
        The generated ids, without the prompt.

    Raises:
        ValueError: If the prompt is empty or has an id that the model does not know, the length or
            the window is below 1, or a setting makes no sense.
    """
    prompt = as_array(prompt)
    _check_prompt(prompt, length)
    window = check_integer("window", window, advice="Set it to the length of the model.")
    choose = _make_choose(temperature, top_k, top_p)
    keys = None if key is None else jax.random.split(key, length)
    visible = prompt[:, -window:]
    count = visible.shape[1]
    visible = jnp.pad(visible, ((0, 0), (0, window - count)))
    _check_ids(prompt, jax.eval_shape(model, visible).shape[-1])

    def step(carry, key):
        visible, count = carry  # the window, and the number of ids in it
        logits = lax.dynamic_index_in_dim(model(visible), count - 1, axis=1, keepdims=False)
        ids = choose(logits, key).astype(visible.dtype)
        is_full = count == window
        visible = jnp.where(is_full, jnp.roll(visible, -1, axis=1), visible)
        place = jnp.where(is_full, window - 1, count)
        visible = lax.dynamic_update_slice_in_dim(visible, ids[:, None], place, axis=1)
        return (visible, place + 1), ids

    _, ids = lax.scan(step, (visible, jnp.int32(count)), keys, length=length)
    return ids.T


def draw(
    logits: Float[Array, "*batch vocabulary"],
    *,
    key: PRNGKeyArray | None = None,
    temperature: Number = 1.0,
    top_k: int | None = None,
    top_p: Number | None = None,
) -> Integer[Array, "*batch"]:
    """Draw an id from softmax(logits / temperature), cut by `keep_top_k` and then `keep_top_p`.

    Args:
        logits: Logits with any leading axes; drawn from in float32 if their type is shorter.
        key: Random key; without one the most likely id is taken.
        temperature: Temperature, which may be traced. Below 1 the likely ids become more likely, at
            0 the most likely one is taken.
        top_k: Number of ids that may be drawn.
        top_p: Share of probability, after the temperature, that may be drawn.

    Raises:
        ValueError: If the temperature is not one number of 0 or more, or as in `keep_top_k` and
            `keep_top_p`, also without a key.

    >>> draw(jnp.array([0.0, 3.0, 1.0]), key=jax.random.key(0), temperature=0.0)
    Array(1, dtype=int32)
    """
    logits = as_array(logits)
    _check_draw(logits, temperature, top_k, top_p)
    most_likely = jnp.argmax(logits, axis=-1)
    if key is None:
        return most_likely
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    smallest = jnp.finfo(logits.dtype).tiny
    scaled = logits / jnp.maximum(jnp.asarray(temperature, logits.dtype), smallest)
    if top_k is not None:
        scaled = keep_top_k(scaled, top_k)
    if top_p is not None:
        scaled = keep_top_p(scaled, top_p)
    drawn = jax.random.categorical(key, scaled)
    return jnp.where(jnp.asarray(temperature) > 0, drawn, most_likely)


def keep_top_k(
    logits: Float[Array, "*batch vocabulary"], k: int
) -> Float[Array, "*batch vocabulary"]:
    """Keep the k largest logits and set the others to -inf, Fan et al. (2018), arXiv:1805.04833.

    Logits that equal the k-th largest are all kept.

    Raises:
        ValueError: If k is not from 1 to the number of ids.

    >>> keep_top_k(jnp.array([1.0, 3.0, 2.0]), 2)
    Array([-inf,   3.,   2.], dtype=float32)
    """
    logits = as_array(logits)
    _check_top_k(k, logits.shape[-1])
    threshold = lax.top_k(logits, k)[0][..., -1:]
    return jnp.where(logits >= threshold, logits, -jnp.inf)


def keep_top_p(
    logits: Float[Array, "*batch vocabulary"], p: Number
) -> Float[Array, "*batch vocabulary"]:
    """Keep the most likely ids that together have probability p and set the others to -inf.

    Holtzman et al. (2020), arXiv:1904.09751. The most likely id is always kept, ids as likely as
    the last one that is needed are kept too, and for p = 1 all are. p may be traced. Probabilities
    are summed in float32 or longer, and a sum that misses p by its rounding counts as p.

    Raises:
        ValueError: If p is not one number from 0 to 1.

    >>> keep_top_p(jnp.log(jnp.array([0.2, 0.5, 0.3])), 0.6) > -jnp.inf
    Array([False,  True,  True], dtype=bool)
    """
    logits = as_array(logits)
    check_number("top_p", p, SHARE, "It is a share of probability, e.g. 0.9.")
    descending = jnp.sort(logits, axis=-1, descending=True)
    wide = descending.astype(jnp.promote_types(logits.dtype, jnp.float32))
    sums = jnp.cumsum(jax.nn.softmax(wide, axis=-1), axis=-1)
    before = sums[..., :-1]  # of all more likely ids, from the second id on
    met = p * (1 - 8 * jnp.finfo(wide.dtype).eps)
    # For p = 1 all ids are needed, also when the sum reaches 1 too early.
    is_needed = (before < met) | (jnp.asarray(p) >= 1)
    is_needed = jnp.concatenate(
        [jnp.ones_like(is_needed, shape=(*logits.shape[:-1], 1)), is_needed], -1
    )
    threshold = jnp.min(jnp.where(is_needed, descending, jnp.inf), axis=-1, keepdims=True)
    return jnp.where(logits >= threshold, logits, -jnp.inf)


def _make_choose(
    temperature: Number, top_k: int | None, top_p: Number | None
) -> Callable[[Array, Array | None], Array]:
    """Make `choose(logits, key) -> ids`."""

    def choose(logits, key):
        return draw(logits, key=key, temperature=temperature, top_k=top_k, top_p=top_p)

    return choose


def _check_draw(
    logits: Array, temperature: Number, top_k: int | None, top_p: Number | None
) -> None:
    """Raise an error if a setting of the draws makes no sense, with or without a key."""
    advice = "0 takes the most likely id, 1 draws from the model's probabilities."
    check_number("temperature", temperature, NOT_NEGATIVE, advice)
    if top_k is not None:
        _check_top_k(top_k, logits.shape[-1])
    if top_p is not None:
        check_number("top_p", top_p, SHARE, "It is a share of probability, e.g. 0.9.")


def _check_top_k(k: int, vocabulary: int) -> None:
    advice = f"The model knows {vocabulary} ids; use e.g. {min(40, vocabulary)}."
    check_integer("top_k", k, 1, vocabulary, advice)


def _check_ids(prompt: Array, vocabulary: int) -> None:
    """Raise ValueError if an id of a prompt that is not traced is none of the model's."""
    ids = known(prompt)
    unknown = [] if ids is None else ids[(ids < 0) | (ids >= vocabulary)]
    if len(unknown):
        raise ValueError(
            f"prompt must hold ids from 0 to {vocabulary - 1}, which the model knows, got "
            f"{int(unknown[0])}. Encode the text with the model's own vocabulary."
        )


def _check_prompt(prompt: Array, length: int) -> None:
    if prompt.ndim != 2 or 0 in prompt.shape:
        raise ValueError(
            f"prompt must be ids [batch, time] with at least one row of at least one id, got shape "
            f"{prompt.shape}. Begin with e.g. the id of a line break."
        )
    if not jnp.issubdtype(prompt.dtype, jnp.integer):
        raise TypeError(f"prompt must hold integer ids, got {prompt.dtype}. Encode the text first.")
    check_integer("length", length, advice="Set it to 1 or more.")
