"""Predictions of one network, and text from a language model: jnn, Flax Linen and PyTorch."""

import numpy as np

from benchmarks import calls
from benchmarks.calls import INPUTS, Call


def jnn(*, network, data, members=1, **sizes):
    """jnn: one network, or an ensemble by `jax.vmap`, as a compiled program."""
    import functools

    import jax
    import jax.numpy as jnp

    import jnn
    from benchmarks import jax_calls
    from benchmarks.peers import nets_jnn

    model = jnn.as_model(getattr(nets_jnn, network)(**sizes))
    xs = list(map(jnp.asarray, calls.batches(**data).x))
    start = functools.partial(model.init, x=xs[0])

    def apply(params, state, x):
        return model.apply(params, state, x, key=None, train=False, hyper={})[0]

    key = jax.random.key(0)
    if members > 1:
        start = jax.vmap(start)
        apply = jax.vmap(apply, (0, 0, None))
        key = jax.random.split(key, members)
    trained = jax.jit(start)(key)
    compiled, stages = jax_calls.compile_in_stages(
        jax.jit(apply), *trained, xs[0], compiler=nets_jnn.compiler_options()
    )

    def play(count):
        for i in range(count):
            y = compiled(*trained, xs[i % INPUTS])
        return [float(np.isfinite(np.asarray(y)).mean())]

    return Call(play, stages)


def linen(*, network, data, members=1, **sizes):
    """Flax Linen: `jax.jit(net.apply)`."""
    import jax
    import jax.numpy as jnp

    from benchmarks import jax_calls
    from benchmarks.peers import nets_linen

    net = getattr(nets_linen, network)(**sizes)
    xs = list(map(jnp.asarray, calls.batches(**data).x))
    variables = jax.jit(net.init)(jax.random.key(0), xs[0])
    compiled, stages = jax_calls.compile_in_stages(jax.jit(net.apply), variables, xs[0])

    def play(count):
        for i in range(count):
            y = compiled(variables, xs[i % INPUTS])
        return [float(np.isfinite(np.asarray(y)).mean())]

    return Call(play, stages)


def torch(*, network, data, members=1, **sizes):
    """PyTorch, eager, in inference mode."""
    import torch

    from benchmarks.peers import nets_torch

    torch.manual_seed(0)
    net = getattr(nets_torch, network)(**sizes).to(nets_torch.DEVICE).eval()
    batches = calls.batches(**data)
    xs = [nets_torch.tensors(x, y)[0] for x, y in zip(*batches, strict=True)]
    if "vocabulary" in data:
        xs = [x.long() for x in xs]
    if xs[0].ndim == 4:
        net = net.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def play(count):
        for i in range(count):
            outputs = net(xs[i % INPUTS])
        nets_torch.synchronize()
        return [outputs.isfinite().float().mean().item()]

    return Call(play)


def jnn_text(*, batch, time, vocabulary, members=1, **sizes):
    """jnn: the most likely next id, `time` times, with a cache of keys and values; one program."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from benchmarks import jax_calls
    from benchmarks.peers import nets_jnn

    make_model = nets_jnn.gpt(vocabulary=vocabulary, time=time, **sizes)
    model = make_model(rngs=nnx.Rngs(0))

    def text(prompt):
        def body(carry, _):
            ids, caches = carry
            logits, caches = model.decode(ids, caches)
            ids = logits[:, -1:].argmax(-1).astype(jnp.int32)
            return (ids, caches), ids[:, 0]

        return jax.lax.scan(body, (prompt, model.start(batch, time)), None, time)[1]

    prompts = [jnp.full((batch, 1), i, jnp.int32) for i in range(INPUTS)]
    compiled, stages = jax_calls.compile_in_stages(
        jax.jit(text), prompts[0], compiler=nets_jnn.compiler_options()
    )

    def play(count):
        for i in range(count):
            ids = compiled(prompts[i % INPUTS])
        return [float(np.asarray(ids).size)]

    return Call(play, stages)


def torch_text(*, batch, time, vocabulary, members=1, **sizes):
    """PyTorch, eager: the same text, with a cache of keys and values."""
    import torch

    from benchmarks.peers import nets_torch

    torch.manual_seed(0)
    device = nets_torch.DEVICE
    net = nets_torch.GPT(vocabulary, time, **sizes).to(device).eval()

    @torch.inference_mode()
    def play(count):
        for i in range(count):
            ids = [torch.full((batch, 1), i % INPUTS, device=device)]
            caches = net.start(batch)
            for place in range(time):
                ids.append(net.decode(ids[-1], caches, place).argmax(-1))
        nets_torch.synchronize()
        return [float(torch.cat(ids[1:], 1).numel())]

    return Call(play)
