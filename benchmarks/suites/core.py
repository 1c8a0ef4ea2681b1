"""Suite `core`: the digits population and the LeNet population against their peers.

jnn works on every core, as `jnn.use_cpu_cores` has it; so peers of one core come in two processes as well.
"""

from benchmarks.case import Bar, Case
from benchmarks.contender import Contender, threads

_KERAS = {"KERAS_BACKEND": "jax", **threads(2)}
_TORCH_EAGER = ("PyTorch eager (1 thread)", "PyTorch eager (2 threads)")
_TORCH_SPREAD = ("PyTorch eager (2 processes)", "PyTorch func (2 threads)")
_TORCH = (
    *_TORCH_EAGER,
    "PyTorch eager (2 processes)",
    "PyTorch func (1 thread)",
    "PyTorch func (2 threads)",
    "PyTorch func (2 processes)",
)
_JAX_LOOPS = ("Linen jit loop", "Linen jit loop (2 processes)", "Equinox jit loop")
_ENSEMBLES = ("Linen ensemble", "Equinox ensemble", "Equinox ensemble (2 processes)")
_HANDWRITTEN = "hand-written jit(vmap(scan))"
_ALL = (*_TORCH, "Keras (JAX)", "scikit-learn", *_JAX_LOOPS, *_ENSEMBLES, _HANDWRITTEN)

DIGITS = Case(
    "digits",
    "MLP 64-32-10 on digits, batch 32, Adam, 20 epochs: a job of 32 seeds",
    workload="digits", members=32, epochs=20, batch_size=32,
    contenders=(
        Contender("jnn", "jnn_population"),
        Contender("PyTorch eager (1 thread)", "torch_eager", members=8, environment=threads(1), needs="torch"),
        Contender("PyTorch eager (2 threads)", "torch_eager", members=8, environment=threads(2), needs="torch"),
        Contender("PyTorch eager (2 processes)", "torch_processes", members=8, environment=threads(1), needs="torch"),
        Contender("PyTorch func (1 thread)", "torch_func", environment=threads(1), needs="torch"),
        Contender("PyTorch func (2 threads)", "torch_func", environment=threads(2), needs="torch"),
        Contender("PyTorch func (2 processes)", "torch_func_processes", environment=threads(1), needs="torch"),
        Contender("Keras (JAX)", "keras_jax", members=8, environment=_KERAS, needs="keras"),
        Contender("scikit-learn", "sklearn_mlp", members=8, environment=threads(1)),
        Contender("Linen jit loop", "linen_loop", members=16),
        Contender("Linen jit loop (2 processes)", "linen_loop_processes", members=16),
        Contender("Equinox jit loop", "equinox_loop", members=16, needs="equinox"),
        Contender("Linen ensemble", "flax_vmap"),
        Contender("Equinox ensemble", "equinox_ensemble", needs="equinox"),
        Contender("Equinox ensemble (2 processes)", "equinox_ensemble_processes", needs="equinox"),
        Contender(_HANDWRITTEN, "handwritten"),
    ),
    bars=(
        Bar("x faster than PyTorch eager", _TORCH_EAGER, "jnn", at_least=35),
        Bar("x faster than PyTorch's best variant", _TORCH, "jnn", at_least=15),
        Bar("x faster than Keras-JAX", ("Keras (JAX)",), "jnn", at_least=11),
        Bar("x faster than Linen and Equinox loops", _JAX_LOOPS, "jnn", at_least=4.5),
        Bar("x faster than Linen and Equinox ensembles", _ENSEMBLES, "jnn", at_least=4.5),
        Bar("x faster than the hand-written program", (_HANDWRITTEN,), "jnn", at_least=1.3),
        Bar("x faster than the best peer, whole job with compilation", _ALL, "jnn", at_least=2, of="job"),
    ),
    least_accuracy=0.94,
)  # fmt: skip

LENET = Case(
    "lenet",
    "LeNet-like net on 28x28x1, batch 64, Adam, 30 steps: a job of 16 seeds",
    workload="lenet", members=16, epochs=1, batch_size=64,
    contenders=(
        Contender("jnn", "jnn_population", members=16),
        Contender("PyTorch eager (1 thread)", "torch_eager", members=8, environment=threads(1), needs="torch"),
        Contender("PyTorch eager (2 threads)", "torch_eager", members=8, environment=threads(2), needs="torch"),
        Contender("PyTorch eager (2 processes)", "torch_processes", members=8, environment=threads(1), needs="torch"),
        Contender("PyTorch func (2 threads)", "torch_func", members=8, environment=threads(2), needs="torch"),
        Contender("Linen jit loop", "linen_loop", members=4),
        Contender("Linen jit loop (2 processes)", "linen_loop_processes", members=4),
    ),
    bars=(
        Bar("x faster than PyTorch's best variant", (*_TORCH_EAGER, *_TORCH_SPREAD), "jnn", at_least=1.5),
        Bar("x faster than the Linen loop", ("Linen jit loop", "Linen jit loop (2 processes)"), "jnn", at_least=4),
    ),
    least_accuracy=0.6,
)  # fmt: skip


CASES = (DIGITS, LENET)
