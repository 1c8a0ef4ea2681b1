"""A training step of one network: jnn, PyTorch, Flax Linen, Equinox and Keras."""

from benchmarks import calls
from benchmarks.calls import INPUTS, Call
from benchmarks.work import LEARNING_RATE


def jnn(*, network, data, members=1, donate=True, **sizes):
    """jnn: the step that a study trains with, in a compiled loop.

    A population's step is that of one network under `jax.vmap`.
    """
    import jax

    from benchmarks import jax_calls
    from benchmarks.peers import nets_jnn

    step, start = make_jnn_step(network=network, data=data, members=members, **sizes)
    compiler = nets_jnn.compiler_options()
    return jax_calls.compiled_loop(step, jax.jit(start)(), data, compiler, donate=donate)


def make_jnn_step(*, network, data, members=1, precision="float32", **sizes):
    """Make `step(state, x, y) -> (state, loss)` and `start() -> state`.

    If there are many members, the states have a member axis.
    """
    import jax
    import jax.numpy as jnp
    import optax

    import jnn
    from benchmarks.peers import nets_jnn

    model = jnn.as_model(getattr(nets_jnn, network)(**sizes))
    optimizer = optax.adam(LEARNING_RATE)
    inner = jnn.make_step(model, jnn.losses.softmax_cross_entropy, optimizer, precision=precision)

    def step(state, x, y):
        return inner(state, jnn.Batch(x, y))

    def start_one(key):
        params, model_state = model.init(key, jnp.asarray(calls.batches(**data).x[0]))
        return jnn.State(params, model_state, optimizer.init(params), (), {}, key, jnp.int32(0))

    key = jax.random.key(0)
    if members == 1:
        return step, lambda: start_one(key)
    keys = jax.random.split(key, members)
    return jax.vmap(step, (0, None, None)), lambda: jax.vmap(start_one)(keys)


def torch(*, network, data, members=1, compiled=False, precision="float32", **sizes):
    """PyTorch: an eager step with fused Adam.

    With `compiled` the loss goes through `torch.compile`, Adam does not.
    """
    import torch
    from torch.nn import functional as F

    from benchmarks.peers import nets_torch

    _check_one(members)
    torch.manual_seed(0)
    device = nets_torch.DEVICE
    net = getattr(nets_torch, network)(**sizes).to(device)
    batches = calls.batches(**data)
    xs, ys = zip(*map(nets_torch.tensors, batches.x, batches.y), strict=True)
    if "vocabulary" in data:
        xs = [x.long() for x in xs]
    if xs[0].ndim == 4:
        net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, fused=True)

    def compute_loss(x, y):
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = net(x).float()
        return F.cross_entropy(outputs.flatten(0, -2), y.flatten())

    if compiled:
        compute_loss = torch.compile(compute_loss)

    def play(count):
        for i in range(count):
            optimizer.zero_grad(set_to_none=True)
            loss = compute_loss(xs[i % INPUTS], ys[i % INPUTS])
            loss.backward()
            optimizer.step()
        return [loss.item()]

    return Call(play)


def linen(*, network, data, members=1, **sizes):
    """Flax Linen: a jitted step over `TrainState`, which it donates, in a Python loop."""
    import jax
    import optax

    from benchmarks import jax_calls
    from benchmarks.peers import nets_linen

    _check_one(members)
    net = getattr(nets_linen, network)(**sizes)
    variables = jax.jit(net.init)(jax.random.key(0), calls.batches(**data).x[0])
    state = nets_linen.StateWithStatistics.create(
        apply_fn=net.apply,
        params=variables["params"],
        tx=optax.adam(LEARNING_RATE),
        statistics=variables.get("batch_stats", {}),
    )

    def step(state, x, y):
        def loss(params):
            variables = {"params": params, "batch_stats": state.statistics}
            outputs, updates = state.apply_fn(variables, x, mutable=["batch_stats"])
            losses = optax.softmax_cross_entropy_with_integer_labels(outputs, y)
            return losses.mean(), updates.get("batch_stats", {})

        (value, statistics), gradients = jax.value_and_grad(loss, has_aux=True)(state.params)
        return state.apply_gradients(grads=gradients).replace(statistics=statistics), value

    return jax_calls.host_loop(jax.jit(step, donate_argnums=0), state, data)


def equinox(*, network, data, members=1, **sizes):
    """Equinox: a `filter_jit` step that donates its state, in a Python loop."""
    import equinox as eqx
    import jax
    import optax

    from benchmarks import jax_calls
    from benchmarks.peers import nets_equinox

    _check_one(members)
    make_net = getattr(nets_equinox, network)
    net, statistics = eqx.nn.make_with_state(make_net)(jax.random.key(0), **sizes)
    moments = nets_equinox.ADAM.init(eqx.filter(net, eqx.is_inexact_array))

    def outputs_of(net, statistics, x):
        if isinstance(net, eqx.nn.StatefulLayer):
            batched = jax.vmap(net, (0, None), (0, None), axis_name="batch")
            return batched(x, statistics)
        return jax.vmap(net)(x), statistics

    def loss(net, statistics, x, y):
        outputs, statistics = outputs_of(net, statistics, x)
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs, y)
        return losses.mean(), statistics

    @eqx.filter_jit(donate="all-except-first")
    def step(batch, state):
        net, statistics, moments = state
        differentiate = eqx.filter_value_and_grad(loss, has_aux=True)
        (value, statistics), gradients = differentiate(net, statistics, *batch)
        updates, moments = nets_equinox.ADAM.update(gradients, moments)
        return (eqx.apply_updates(net, updates), statistics, moments), value

    state = (net, statistics, moments)
    return jax_calls.host_loop(lambda state, x, y: step((x, y), state), state, data)


def keras(*, network, data, members=1, **sizes):
    """Keras on JAX: `train_on_batch` of a compiled model."""
    import keras

    from benchmarks.peers import nets_keras

    _check_one(members)
    x, y = calls.batches(**data)
    model = getattr(nets_keras, network)(**sizes)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(LEARNING_RATE, epsilon=1e-8), loss, jit_compile=True)

    def play(count):
        for i in range(count):
            model.reset_metrics()
            loss = model.train_on_batch(x[i % INPUTS], y[i % INPUTS])
        return [float(loss)]

    return Call(play)


def _check_one(members):
    if members != 1:
        raise ValueError(f"members must be 1, got {members}. Only jnn trains several in one step.")
