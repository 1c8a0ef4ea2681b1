"""The compiled training is a Python loop, and the gradient of an MLP is backpropagation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from jnn.engine._epoch import _drawn
from jnn.layers import shuffled
from tests.networks import Nnx

DATA = jnn.data.load("iris")
ADAM = lambda h: optax.adam(h.learning_rate)  # noqa: E731


def study(**settings):
    defaults = {
        "model": functools.partial(Nnx, 4),
        "loss": jnn.losses.softmax_cross_entropy,
        "optimizer": ADAM,
        "metrics": {"accuracy": jnn.metrics.accuracy},
        "epochs": 2,
        "batch_size": 16,
        "hyper": {"learning_rate": 0.01},
    }
    return jnn.Study(**(defaults | settings))


def fold(train, test):
    return jnn.Data.from_arrays(DATA.x, DATA.y, train=train, test=test)


def state_of(params, opt_state=(), seed=0):
    """A state without preprocessing, hyper-parameters or variables of the network."""
    trained = jnn.Trained(params, {}, ((), ()), {})
    return jnn.State(trained, opt_state, 0, jax.random.key(seed), jnp.int32(0))


def python_loop(made, member, data):
    """Train by loops over epochs and batches, one jitted step at a time."""
    step = jax.jit(jnn.make_step(made))
    state = jax.jit(jnn.make_start(made))(member, data)
    train = np.asarray(data.train.index[0])
    losses = []
    for epoch in range(made.epochs):
        key = jax.random.fold_in(member.key, 3 * epoch + 1)
        order = train[np.asarray(shuffled(key, len(train), len(train)))]
        total = 0.0
        for start in range(0, len(order), made.batch_size):
            rows = order[start : start + made.batch_size]
            missing = made.batch_size - len(rows)
            weights = np.r_[np.ones(len(rows)), np.zeros(missing)].astype(np.float32)
            rows = np.r_[rows, order[:missing]]
            state, loss = step(state, jnn.Batch(DATA.x[rows], DATA.y[rows], weights))
            total += float(loss) * weights.sum()
        losses.append(total / len(order))
    return state, losses


def test_a_compiled_training_equals_the_python_loop():
    made, data = study(), fold(np.arange(0, 150, 2)[:70], np.arange(1, 150, 2))
    member = jnn.Member(jax.random.key(5), 0, {"learning_rate": jnp.float32(0.02)})
    progress = jax.jit(jnn.make_train(made))(member, data)
    state, losses = python_loop(made, member, data)
    np.testing.assert_allclose(progress.history["train_loss"], losses, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5),
        progress.trained.params,
        state.trained.params,
    )
    outputs = made.model.apply(state.trained.params, state.trained.model_state, DATA.x[1::2])[0]
    accuracy = np.mean(np.argmax(outputs, -1) == DATA.y[1::2])
    np.testing.assert_allclose(progress.history["accuracy"][-1], accuracy, atol=1e-6)


def test_the_gradient_of_an_mlp_is_backpropagation():
    model = jnn.as_model(functools.partial(jnn.models.MLP, 4, (6, 5), 3, activation=jnp.tanh))
    x, y = jnp.asarray(DATA.x[:12]), jnp.asarray(DATA.y[:12])
    params, state = model.init(jax.random.key(0), x)
    loss = lambda p: jnn.losses.softmax_cross_entropy(model.apply(p, state, x)[0], y).mean()  # noqa: E731
    got = jax.jit(jax.grad(loss))(params)
    wanted = backpropagation(jax.tree.map(np.float64, params), np.float64(x), np.asarray(y))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), got, wanted)


def backpropagation(params, x, y):
    """The gradient of the mean cross-entropy of tanh(tanh(x W0 + b0) W1 + b1) W2 + b2."""
    layers = [params["hidden"]["0"], params["hidden"]["1"], params["output"]]
    inputs, h = [], x
    for i, layer in enumerate(layers):  # forward
        inputs.append(h)
        z = h @ layer["kernel"] + layer["bias"]
        h = np.tanh(z) if i < 2 else z
    e = np.exp(h - h.max(axis=1, keepdims=True))
    delta = e / e.sum(axis=1, keepdims=True)  # softmax
    delta[np.arange(len(y)), y] -= 1  # its gradient with the cross-entropy
    delta /= len(y)
    gradients = []
    for i in reversed(range(3)):  # backward
        gradients.append({"kernel": inputs[i].T @ delta, "bias": delta.sum(axis=0)})
        delta = (delta @ layers[i]["kernel"].T) * (1 - inputs[i] ** 2)  # tanh' = 1 - tanh^2
    second, first, zeroth = gradients
    return {"hidden": {"0": zeroth, "1": first}, "output": second}


@pytest.mark.parametrize("count", [1, 5, 8])
def test_a_shuffle_moves_only_the_real_rows(count):
    orders = {
        tuple(np.asarray(shuffled(jax.random.key(i), 8, jnp.int32(count)))) for i in range(20)
    }
    assert all(sorted(o) == list(range(8)) and o[count:] == tuple(range(count, 8)) for o in orders)
    assert len(orders) > 1 or count == 1


def test_a_shuffle_of_many_rows_is_uniform():
    from scipy import stats

    order = np.asarray(jax.jit(shuffled, static_argnums=1)(jax.random.key(0), 70_000, 70_000))
    assert np.array_equal(np.sort(order), np.arange(70_000))
    ascending = int(
        (np.diff(order) > 0).sum()
    )  # in a random order half of the steps go up, with variance (n + 1) / 12
    assert (
        abs(stats.norm.cdf((ascending - 69_999 / 2) / np.sqrt(70_001 / 12)) - 0.5) < 0.4995
    )  # key fixed: no false alarm
    assert abs(stats.spearmanr(order, np.arange(70_000)).statistic) < 0.02


@pytest.mark.parametrize("count", [300, 4096, 5000])
def test_a_shuffle_does_not_depend_on_the_lengths_of_other_folds(count):
    orders = [
        np.asarray(shuffled(jax.random.key(0), n, jnp.int32(count)))[:count]
        for n in (5000, 9000, 70_000)
    ]
    assert (
        all((order == orders[0]).all() for order in orders)
        and (np.sort(orders[0]) == np.arange(count)).all()
    )
    if count <= 4096:
        assert (np.asarray(shuffled(jax.random.key(0), count, count)) == orders[0]).all()


def test_shuffles_are_uniform():
    from scipy import stats

    orders = jax.jit(jax.vmap(lambda key: shuffled(key, 4, 3)))(
        jax.random.split(jax.random.key(0), 6000)
    )
    _, counts = np.unique(np.asarray(orders), axis=0, return_counts=True)
    assert (
        len(counts) == 6 and stats.chisquare(counts).pvalue > 1e-3
    )  # the key is fixed: no false alarms


def test_an_epoch_uses_every_row_once_and_in_members_own_order():
    seen = []

    def step(state, batch):
        jax.debug.callback(
            lambda x, w: seen.extend(np.asarray(x[:, 0])[np.asarray(w) > 0]), batch.x, batch.weights
        )
        return state, jnp.sum(batch.weights)

    data = jnn.Data.from_arrays(np.arange(10.0, dtype=np.float32)[:, None], np.zeros(10, np.int32))
    epoch = jnn.make_epoch(study(batch_size=4), step=step)
    jax.block_until_ready(epoch(state_of({}), data, 0))
    jax.effects_barrier()
    assert sorted(seen) == list(range(10)) and seen != sorted(seen)


def test_padded_rows_weigh_nothing():
    made = study(model=functools.partial(jnn.models.MLP, 4, (6,), 3))
    step = jax.jit(jnn.make_step(made))
    state = jnn.make_start(made)(
        jnn.Member(jax.random.key(0), 0, {}), fold(np.arange(100), np.arange(100, 150))
    )
    weights = np.r_[np.ones(5), np.zeros(3)].astype(np.float32)
    one, _ = step(state, jnn.Batch(DATA.x[:8], DATA.y[:8], weights))
    other, _ = step(state, jnn.Batch(np.r_[DATA.x[:5], DATA.x[50:53] * 9], DATA.y[:8], weights))
    jax.tree.map(np.testing.assert_array_equal, one.trained.params, other.trained.params)


def test_rows_without_weights_count_as_one():
    made = study()
    step = jax.jit(jnn.make_step(made))
    state = jnn.make_start(made)(
        jnn.Member(jax.random.key(0), 0, {}), fold(np.arange(100), np.arange(100, 150))
    )
    given, loss = step(state, jnn.Batch(DATA.x[:8], DATA.y[:8], np.ones(8, np.float32)))
    left, same = step(state, jnn.Batch(DATA.x[:8], DATA.y[:8]))
    np.testing.assert_allclose(same, loss, rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        left.trained.params,
        given.trained.params,
    )


def test_a_step_takes_keys_as_words_and_typed():
    """Typed keys among the outputs leave JAX's fast path, so that a state has none."""
    made = study(model=functools.partial(Nnx, 4))  # with dropout
    step = jax.jit(jnn.make_step(made))
    state = jnn.make_start(made)(
        jnn.Member(jax.random.key(3), 0, {}), fold(np.arange(100), np.arange(100, 150))
    )
    assert all(
        isinstance(leaf, jax.Array) and leaf.dtype != jax.random.key(0).dtype
        for leaf in jax.tree.leaves(state)
    )
    batch = jnn.Batch(DATA.x[:8], DATA.y[:8])
    words, typed = step(state, batch), step(state._replace(key=jax.random.key(3)), batch)
    jax.tree.map(
        np.testing.assert_array_equal, (words[0].trained, words[1]), (typed[0].trained, typed[1])
    )


def test_a_penalty_adds_its_gradient():
    made = {
        l2: study(
            penalty=lambda p, h: h.l2 * jnn.layers.l2(p),
            optimizer=optax.sgd(0.1),
            hyper={"l2": l2},
        )
        for l2 in (0.0, 2.0)
    }
    data, steps = fold(np.arange(100), np.arange(100, 150)), {}
    for l2, one in made.items():
        state = jnn.make_start(one)(jnn.Member(jax.random.key(0), 0, {}), data)
        step = jax.jit(jnn.make_step(one))
        batch = jnn.Batch(DATA.x[:16], DATA.y[:16], np.ones(16, np.float32))
        steps[l2] = (state.trained.params, step(state, batch)[0].trained.params)
    before, plain = steps[0.0]
    wanted = jax.tree.map(
        lambda p, w: p - 0.1 * jax.grad(lambda w: 2.0 * jnn.layers.l2({"w": w}))(w), plain, before
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), steps[2.0][1], wanted
    )


def test_an_epoch_of_drawn_batches_takes_its_rows_with_replacement():
    seen = []

    def step(state, batch):
        jax.debug.callback(lambda x: seen.append(np.asarray(x[:, 0])), batch.x)
        return state, jnp.ones(())

    rows = jnn.Rows(
        np.arange(2, 12, dtype=np.int32)[None], np.array([8], np.int32)
    )  # the last two are padding
    data = jnn.Data(np.arange(12.0, dtype=np.float32)[:, None], np.zeros(12, np.int32), rows)
    for order, number in (("member", 0), ("sequential", 1)):
        made = study(batch_size=4, order=order, steps_per_epoch=50)
        jax.block_until_ready(jnn.make_epoch(made, step=step)(state_of({}), data, number))
    jax.effects_barrier()
    drawn, walked = np.ravel(seen[:50]), np.ravel(seen[50:])
    counts = np.bincount(drawn.astype(int), minlength=12)
    assert (
        counts[:2].sum() == counts[10:].sum() == 0 and counts[2:10].min() > 10
    )  # 25 expected, deviation 4.7
    assert np.array_equal(walked, 2 + (200 + np.arange(200)) % 8)


def test_going_round_the_rows_never_overflows():
    number, total, count = 2**20 + 7, 5000, 1437
    place, _ = _drawn(None, jnp.int32(number), total, jnp.int32(count))
    np.testing.assert_array_equal(place, (number * total + np.arange(total)) % count)


def test_augmentation_changes_training_batches_by_the_members_key_and_no_others():
    def halve(batch, *, key):
        return batch._replace(x=batch.x * jax.random.bernoulli(key, 0.5, (batch.x.shape[0], 1)))

    seen = []

    def apply(params, x, *, train):
        jax.debug.callback(lambda x: seen.append((train, np.asarray(x))), x)
        return x @ params["w"]

    made = study(
        model=(lambda key, x: {"w": jnp.zeros((4, 3))}, apply),
        augment=halve,
        epochs=1,
        batch_size=50,
    )
    data = fold(np.arange(100), np.arange(100, 150))
    jax.block_until_ready(jax.jit(jnn.make_train(made))(jnn.Member(jax.random.key(0), 0, {}), data))
    jax.effects_barrier()
    trained = np.concatenate([x for train, x in seen if train])
    scored = np.concatenate([x for train, x in seen if not train])
    zero = (trained == 0).all(axis=1)
    assert 25 < zero.sum() < 75 and len({tuple(z) for z in zero.reshape(2, 50)}) == 2
    assert np.array_equal(np.sort(scored, axis=0), np.sort(DATA.x[100:], axis=0))


def test_an_objective_may_take_the_gradient_by_the_input():
    """The mean loss at x and at x + eps sign(dloss/dx), written out for a linear model."""

    def adversarial(forward, batch):
        loss = lambda x: jnn.losses.squared_error(forward(x)[0], batch.y)  # noqa: E731
        direction = jnp.sign(jax.grad(lambda x: loss(x).sum())(batch.x))
        return 0.5 * (loss(batch.x) + loss(batch.x + 0.1 * direction)), forward(batch.x)[1]

    w, x, y = (
        jnp.array([[1.0], [-2.0]]),
        jnp.array([[1.0, 0.0], [0.5, 3.0]]),
        jnp.array([[0.0], [1.0]]),
    )
    model = (lambda key, x: {"w": w}, lambda params, x: x @ params["w"])
    made = jnn.Study(model, jnn.losses.squared_error, optax.sgd(1.0), objective=adversarial)
    step, state = jnn.make_step(made), state_of({"w": w}, optax.sgd(1.0).init({"w": w}))
    after, loss = jax.jit(step)(state, jnn.Batch(x, y, jnp.ones(2)))
    moved = x + 0.1 * np.sign(2 * (x @ w - y) @ w.T)
    both = np.concatenate([x, moved])
    errors = both @ w - np.concatenate([y, y])
    np.testing.assert_allclose(loss, np.mean(errors**2), rtol=1e-6)
    np.testing.assert_allclose(after.trained.params["w"], w - 2 * both.T @ errors / 4, rtol=1e-5)


def test_an_objective_may_draw_more_than_one_dropout_mask():
    seen = []

    def apply(params, x, *, key, train):
        return x * jax.random.bernoulli(key, 0.5, x.shape)

    def objective(forward, batch):
        outputs = [
            forward(batch.x, **draw)[0] for draw in ({}, {"draw": 1}, {"draw": 2}, {"draw": 0})
        ]
        jax.debug.callback(lambda *a: seen.append(a), *outputs)
        return (outputs[0] ** 2).sum(-1), {}

    weight = {"w": jnp.zeros(())}
    model = (lambda key, x: weight, apply)
    made = jnn.Study(model, jnn.losses.squared_error, optax.sgd(1.0), objective=objective)
    state = state_of(weight, optax.sgd(1.0).init(weight))
    jnn.make_step(made)(state, jnn.Batch(jnp.ones((4, 8)), jnp.zeros(4)))
    jax.effects_barrier()
    first, second, third, again = seen[-1]
    assert (first == again).all() and (first != second).any() and (second != third).any()


def test_an_objective_is_looked_at_with_the_batch_that_it_will_get():
    """The augmented one: here labels become shares."""

    def objective(forward, batch):
        outputs, state = forward(batch.x)
        return optax.softmax_cross_entropy(outputs, batch.y), state

    augment = lambda batch, *, key: batch._replace(y=jax.nn.one_hot(batch.y, 3))  # noqa: E731
    result = jnn.run(study(objective=objective, augment=augment, epochs=1), DATA, jnn.seeds(1))
    assert np.isfinite(result.final()["train_loss"]).all()


def test_a_number_may_be_for_predictions_alone():
    def apply(params, x, *, train, hyper):
        logits = x @ params["w"]
        return logits if train else logits / hyper["temperature"]

    model = (lambda key, x: {"w": jnp.zeros((4, 3))}, apply)
    members = jnn.grid(temperature=[1.0, 2.0])
    losses = jnn.run(study(model=model, epochs=1), DATA, members * jnn.holdout(0.2)).final()["loss"]
    assert losses[0] != losses[1]


def test_a_training_takes_numpys_rows_under_vmap():
    rng = np.random.default_rng(0)
    rows = jnn.Rows(np.array([[0, 1, 2, 3], [4, 5, 6, 7]], np.int32), np.array([4, 4], np.int32))
    data = jnn.Data(
        rng.normal(size=(8, 4)).astype(np.float32), rng.integers(0, 3, 8).astype(np.int32), rows
    )
    members = jnn.Member(jax.vmap(jax.random.key)(jnp.arange(2)), jnp.arange(2), {})
    train = jnn.make_train(study(epochs=1, batch_size=2))
    assert jax.vmap(train, (jnn.Member(0, 0, {}), None))(members, data).history[
        "train_loss"
    ].shape == (2, 1)


def test_patience_ends_a_member_where_early_stopping_would():
    made = lambda **more: study(  # noqa: E731
        keep="best",
        monitor="accuracy",
        epochs=12,
        optimizer=optax.sgd(0.05),
        metrics={"accuracy": jnn.metrics.accuracy},
        **more,
    )
    fold = jnn.folds([(np.arange(0, 150, 3), np.arange(1, 150, 3), np.arange(2, 150, 3))])
    whole = jnn.run(made(), DATA, jnn.seeds(6) * fold).scores
    short = jnn.run(made(patience=2), DATA, jnn.seeds(6) * fold).scores
    ends = []
    for member in range(6):
        validation = whole["validation_accuracy"].values[member, 0]
        best, end = 0, 12
        for epoch in range(12):
            best = epoch if validation[epoch] > validation[best] else best
            if epoch - best >= 2:
                end = epoch + 1
                break
        ends.append(end)
        assert short["best_epoch"].values[member, 0] == best + 1
        np.testing.assert_array_equal(
            short["validation_accuracy"].values[member, 0, :end], validation[:end]
        )
        assert np.isnan(short["accuracy"].values[member, 0, end:]).all()
    assert len(set(ends)) > 1 and min(ends) < 12


def test_bfloat16_computes_the_network_only():
    seen = []

    def apply(params, x):
        seen.append((params["w"].dtype, x.dtype))
        return x @ params["w"]

    made = study(model=(lambda key, x: {"w": jnp.zeros((4, 3))}, apply), precision="bfloat16")
    data = fold(np.arange(100), np.arange(100, 150))
    progress = jax.jit(jnn.make_train(made))(jnn.Member(jax.random.key(0), 0, {}), data)
    assert seen[0] == (jnp.bfloat16, jnp.bfloat16)
    assert (
        progress.trained.params["w"].dtype == jnp.float32
        and np.isfinite(progress.history["loss"]).all()
    )


FITS = {
    "a loss of pairs": (
        {"loss": lambda outputs, y: (outputs[:, :1] - y) ** 2},
        "Study.loss must return one loss per row",
    ),
    "a loss that fails": (
        {"loss": lambda outputs, y: outputs @ y},
        "Study.loss failed on outputs of shape",
    ),
    "a mean as objective": (
        {"objective": lambda forward, batch: (forward(batch.x)[0].mean(), {})},
        "Study.objective must return",
    ),
    "an array as penalty": (
        {"penalty": lambda params, h: jnp.ones(3)},
        "Study.penalty must return one number",
    ),
    "half a batch": (
        {"augment": lambda batch, *, key: batch._replace(x=batch.x[::2])},
        "Study.augment must map a batch of 16 rows",
    ),
}


@pytest.mark.parametrize("case", FITS)
def test_research_code_gets_the_same_sentences_from_a_step(case):
    settings, sentence = FITS[case]
    made = study(
        model=(lambda key, x: {"w": jnp.zeros((4, 3))}, lambda p, x: x @ p["w"]), **settings
    )
    state = jnn.make_start(made)(jnn.Member(jax.random.key(0), 0, {}), fold(range(100), [100]))
    with pytest.raises(ValueError, match=sentence):
        jax.eval_shape(jnn.make_step(made), state, jnn.Batch(DATA.x[:16], DATA.y[:16]))
    with pytest.raises(ValueError, match=sentence):
        jnn.run(made, DATA)


def test_a_metric_that_does_not_fit_is_told_when_it_is_traced():
    vectors = jnn.metrics.Metric(
        lambda: 0.0, lambda sums, p, y, w: sums + p @ y, lambda sums: sums, True, None
    )
    made = study(metrics={"product": vectors})
    data = fold(range(100), range(100, 150))
    state = jnn.make_start(made)(jnn.Member(jax.random.key(0), 0, {}), data)
    with pytest.raises(ValueError, match="The metric 'product' failed on predictions of shape"):
        jax.eval_shape(jnn.make_evaluate(made), state, data, data.test)
