"""Strategies over choices among options, as pure functions: many searches are one program.

A setting is a vector of option numbers, int32 [choices]. `ask(state, key)` names a setting and
`tell(state, setting, score)` learns its score; both work under `jit`, `vmap` and `scan`, so that
`simulate` runs hundreds of searches on a table of scores as one compiled program.

>>> strategy = evolution((5, 5, 5), population=4, tournament=2)
>>> state = strategy.init(jax.random.key(0))
>>> strategy.ask(state, jax.random.key(1)).shape
(3,)
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jnn._settings import check_integer
from jnn.search._kernels import bandwidths, log_density, neighbors

__all__ = ["Discrete", "bohb", "evolution", "random", "reinforce", "simulate"]


def __dir__() -> list[str]:
    return __all__


class Discrete(NamedTuple):
    """A strategy over options as three pure functions.

    Attributes:
        init: `init(key) -> state`.
        ask: `ask(state, key) -> setting`, int32 [choices].
        tell: `tell(state, setting, score) -> state`; higher scores are better.
    """

    init: Callable[[jax.Array], Any]
    ask: Callable[[Any, jax.Array], jax.Array]
    tell: Callable[[Any, jax.Array, jax.Array], Any]


class Pool(NamedTuple):
    """The last settings of an evolution, in a ring.

    Attributes:
        settings: int32 [population, choices].
        scores: float32 [population].
        told: Number of settings told so far.
    """

    settings: jax.Array
    scores: jax.Array
    told: jax.Array


class History(NamedTuple):
    """The last settings of a search, in a ring.

    Attributes:
        settings: int32 [capacity, choices].
        scores: float32 [capacity].
        told: Number of settings told so far.
    """

    settings: jax.Array
    scores: jax.Array
    told: jax.Array


class Policy(NamedTuple):
    """The distribution that REINFORCE draws from.

    Attributes:
        logits: float32 [choices, most options]; -inf past the last option of a choice.
        opt_state: State of the optimizer.
        baseline: Mean of the scores, with exponentially falling weights.
        told: Number of settings told so far.
    """

    logits: jax.Array
    opt_state: Any
    baseline: jax.Array
    told: jax.Array


def random(options: Sequence[int]) -> Discrete:
    """Return random search: every option of a choice is equally likely.

    Args:
        options: Number of options of each choice.
    """
    options = _checked(options)
    return Discrete(
        lambda key: (),
        lambda state, key: _draw(key, options),
        lambda state, setting, score: state,
    )


def evolution(options: Sequence[int], *, population: int = 10, tournament: int = 3) -> Discrete:
    """Return regularized evolution: the best of a random few has a child, and the oldest dies.

    The first `population` settings are random. A child differs from its parent in one choice.

    Real et al., Regularized Evolution for Image Classifier Architecture Search (2019),
    https://arxiv.org/abs/1802.01548

    Args:
        options: Number of options of each choice.
        population: Number of settings that may be parents, the youngest ones.
        tournament: Number of settings, drawn without replacement, of which the best is the parent.
    """
    options = _checked(options)
    population = check_integer("population", population, least=1)
    tournament = check_integer("tournament", tournament, least=1)
    if tournament > population:
        raise ValueError(
            f"tournament must be at most the population of {population}, got {tournament}."
        )

    def init(key: jax.Array) -> Pool:
        del key
        settings = jnp.zeros((population, len(options)), jnp.int32)
        return Pool(settings, jnp.full(population, -jnp.inf), jnp.zeros((), jnp.int32))

    def ask(state: Pool, key: jax.Array) -> jax.Array:
        first, chosen, place, option = jax.random.split(key, 4)
        rivals = jax.random.permutation(chosen, population)[:tournament]
        parent = state.settings[rivals[jnp.argmax(state.scores[rivals])]]
        child = _mutated(parent, place, option, options)
        return jnp.where(state.told < population, _draw(first, options), child)

    def tell(state: Pool, setting: jax.Array, score: jax.Array) -> Pool:
        score = jnp.where(jnp.isnan(score), -jnp.inf, score)
        oldest = state.told % population
        return Pool(
            state.settings.at[oldest].set(setting),
            state.scores.at[oldest].set(score),
            state.told + 1,
        )

    return Discrete(init, ask, tell)


def reinforce(
    options: Sequence[int], *, learning_rate: float = 0.01, baseline_decay: float = 0.9
) -> Discrete:
    """Return REINFORCE: a distribution for each choice follows the gradient of the expected score.

    gradient = -(score - baseline) d log p(setting) / d logits, by Adam

    The scale of the scores matters little to Adam. The baseline is the exponential moving average
    of the scores before.

    Williams, Simple Statistical Gradient-Following Algorithms (1992),
    https://doi.org/10.1007/BF00992696

    Args:
        options: Number of options of each choice.
        learning_rate: Learning rate of Adam.
        baseline_decay: Decay of the baseline.
    """
    options = _checked(options)
    optimizer = optax.adam(learning_rate)
    most = max(options)
    is_option = np.arange(most) < np.asarray(options)[:, None]

    def init(key: jax.Array) -> Policy:
        del key
        logits = jnp.zeros((len(options), most))
        nothing = jnp.zeros(())
        return Policy(logits, optimizer.init(logits), nothing, jnp.zeros((), jnp.int32))

    def masked(logits: jax.Array) -> jax.Array:
        return jnp.where(is_option, logits, -jnp.inf)

    def ask(state: Policy, key: jax.Array) -> jax.Array:
        return jax.random.categorical(key, masked(state.logits)).astype(jnp.int32)

    def tell(state: Policy, setting: jax.Array, score: jax.Array) -> Policy:
        score = jnp.where(jnp.isnan(score), state.baseline, score)
        first = state.told == 0
        baseline = jnp.where(
            first, score, baseline_decay * state.baseline + (1 - baseline_decay) * score
        )

        def loss(logits: jax.Array) -> jax.Array:
            shares = jax.nn.log_softmax(masked(logits))
            chosen = jnp.take_along_axis(shares, setting[:, None], axis=1)
            return -(score - baseline) * jnp.sum(chosen)

        updates, opt_state = optimizer.update(jax.grad(loss)(state.logits), state.opt_state)
        logits = optax.apply_updates(state.logits, updates)
        return Policy(jnp.asarray(logits), opt_state, baseline, state.told + 1)

    return Discrete(init, ask, tell)


def bohb(
    options: Sequence[int],
    *,
    good_share: float = 0.15,
    random_share: float = 1 / 3,
    candidates: int = 64,
    capacity: int = 512,
) -> Discrete:
    """Return the model of BOHB: the candidate that is likely among good settings, not among others.

    Good settings are the best `good_share` of those told, at least choices + 1. Their density l and
    that of the others g are means of products of the kernels of Aitchison and Aitken,

        k(x, y) = 1 - b if x = y, else b / (options - 1).

    The bandwidth b of a choice is (1 - sum of squared frequencies) n^(-1 / (4 + choices)), which is
    the normal-reference rule with a measure of spread that needs no order of the options.
    Candidates are drawn around good settings with three times the bandwidth, and the one with the
    largest l / g is named. A share of the settings is random, and so are all until both densities
    have more settings than choices. It knows of one fidelity: that of the scores it is told.

    Falkner, Klein and Hutter, BOHB (2018), https://arxiv.org/abs/1807.01774;
    Aitchison and Aitken, Multivariate Binary Discrimination by the Kernel Method (1976)

    Args:
        options: Number of options of each choice.
        good_share: Share of the settings that count as good.
        random_share: Share of the settings that are random.
        candidates: Number of settings of which the most promising is named.
        capacity: Number of settings that are remembered, the last ones.
    """
    options = _checked(options)
    candidates = check_integer("candidates", candidates, least=1)
    fewest = len(options) + 1  # of each density
    capacity = check_integer("capacity", capacity, least=2 * fewest)
    for name, share in (("good_share", good_share), ("random_share", random_share)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be from 0 to 1, got {share}. Use e.g. 0.2.")

    def init(key: jax.Array) -> History:
        del key
        settings = jnp.zeros((capacity, len(options)), jnp.int32)
        return History(settings, jnp.full(capacity, -jnp.inf), jnp.zeros((), jnp.int32))

    def ask(state: History, key: jax.Array) -> jax.Array:
        first, chance, source, noise = jax.random.split(key, 4)
        order, good, others = _split(state, good_share, fewest)
        places = jax.random.randint(source, (candidates,), 0, jnp.maximum(jnp.sum(good), 1))
        bandwidth = 3 * bandwidths(state.settings, good, options)
        drawn = neighbors(state.settings[order[places]], bandwidth, noise, options)
        ratio = log_density(drawn, state.settings, good, options) - log_density(
            drawn, state.settings, others, options
        )
        is_random = jax.random.bernoulli(chance, random_share) | (jnp.sum(others) < fewest)
        return jnp.where(is_random, _draw(first, options), drawn[jnp.argmax(ratio)])

    def tell(state: History, setting: jax.Array, score: jax.Array) -> History:
        score = jnp.where(jnp.isnan(score), -jnp.inf, score)
        place = state.told % capacity
        return History(
            state.settings.at[place].set(setting),
            state.scores.at[place].set(score),
            state.told + 1,
        )

    return Discrete(init, ask, tell)


def simulate(
    strategy: Discrete,
    score_of: Callable[[jax.Array], jax.Array],
    evaluations: int,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Run one search on scores that are known, such as those of a table.

    Args:
        strategy: The strategy.
        score_of: `score_of(setting) -> score`, a pure function.
        evaluations: Number of settings to ask for.
        key: Key of the search; `vmap` over keys for many searches.

    Returns:
        The settings int32 [evaluations, choices] and their scores [evaluations].
    """
    evaluations = check_integer("evaluations", evaluations, least=1)
    start, run = jax.random.split(key)

    def step(state: Any, key: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        setting = strategy.ask(state, key)
        score = score_of(setting)
        return strategy.tell(state, setting, score), (setting, score)

    _, (settings, scores) = jax.lax.scan(
        step, strategy.init(start), jax.random.split(run, evaluations)
    )
    return settings, scores


def _draw(key: jax.Array, options: tuple[int, ...]) -> jax.Array:
    return jax.random.randint(key, (len(options),), 0, jnp.asarray(options))


def _split(
    state: History, good_share: float, fewest: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the order from the best setting to the worst, and which are good, and which others."""
    capacity = len(state.scores)
    count = jnp.minimum(state.told, capacity)
    known = jnp.arange(capacity) < count
    order = jnp.argsort(jnp.where(known, -state.scores, jnp.nan), stable=True)  # NaN is last
    best = jnp.maximum(fewest, jnp.floor(good_share * count).astype(jnp.int32))
    good = known & jnp.zeros(capacity, bool).at[order].set(jnp.arange(capacity) < best)
    return order, good, known & ~good


def _mutated(
    parent: jax.Array, place: jax.Array, option: jax.Array, options: tuple[int, ...]
) -> jax.Array:
    """Return a setting that differs from its parent in one choice that has several options."""
    sizes = jnp.asarray(options)
    movable = np.flatnonzero(np.asarray(options) > 1)
    at = jnp.asarray(movable)[jax.random.randint(place, (), 0, len(movable))]
    step = jax.random.randint(option, (), 1, sizes[at])
    return parent.at[at].set((parent[at] + step) % sizes[at])


def _checked(options: Sequence[int]) -> tuple[int, ...]:
    options = tuple(check_integer("options", option, least=1) for option in options)
    if not options or max(options) < 2:
        raise ValueError(
            f"options must hold the numbers of options of some choices, at least one of 2 or more, "
            f"got {options}."
        )
    return options
