"""Suite `core`: the digits population and the LeNet population beside their peers.

jnn works on every core, as `jnn.use_cpu_cores` has it; so peers of one core come in two processes
as well.
"""

from benchmarks.case import Bar, Case, Job, Quality
from benchmarks.contender import Contender, threads

_TORCH = {"peer": "population_loops.torch", "members": 8, "needs": "torch"}
_FUNC = {"peer": "population_ensembles.torch", "needs": "torch"}
_EQUINOX = {"peer": "population_ensembles.equinox", "members": 32, "needs": "equinox"}
_KERAS = {"KERAS_BACKEND": "jax", **threads(2)}
_LINEN = "population_loops.linen"
_TWO = {"processes": 2}

_EAGER_NAMES = ("PyTorch eager (1 thread)", "PyTorch eager (2 threads)")
_TORCH_NAMES = (
    *_EAGER_NAMES,
    "PyTorch eager (2 processes)",
    "PyTorch func (1 thread)",
    "PyTorch func (2 threads)",
    "PyTorch func (2 processes)",
)
_LOOP_NAMES = ("Linen jit loop", "Linen jit loop (2 processes)", "Equinox jit loop")
_ENSEMBLE_NAMES = ("Linen ensemble", "Equinox ensemble", "Equinox ensemble (2 processes)")
_HANDWRITTEN = "hand-written jit(vmap(scan))"
_ALL_NAMES = (
    *_TORCH_NAMES,
    "Keras (JAX)",
    "scikit-learn",
    *_LOOP_NAMES,
    *_ENSEMBLE_NAMES,
    _HANDWRITTEN,
)
_EAGER = (
    Contender("PyTorch eager (1 thread)", **_TORCH, environment=threads(1)),
    Contender("PyTorch eager (2 threads)", **_TORCH, environment=threads(2)),
    Contender("PyTorch eager (2 processes)", **_TORCH, **_TWO, environment=threads(1)),
)

DIGITS = Case(
    "digits",
    title="MLP 64-32-10 on digits, batch 32, Adam, 20 epochs: a job of 32 seeds",
    job=Job("digits", members=32, epochs=20, batch_size=32),
    contenders=(
        Contender("jnn", "population.jnn_run", 32),
        *_EAGER,
        Contender("PyTorch func (1 thread)", **_FUNC, members=32, environment=threads(1)),
        Contender("PyTorch func (2 threads)", **_FUNC, members=32, environment=threads(2)),
        Contender(
            "PyTorch func (2 processes)", **_FUNC, **_TWO, members=32, environment=threads(1)
        ),
        Contender("Keras (JAX)", "population_loops.keras", 8, environment=_KERAS, needs="keras"),
        Contender("scikit-learn", "population_loops.scikit_learn", 8, environment=threads(1)),
        Contender("Linen jit loop", _LINEN, 16),
        Contender("Linen jit loop (2 processes)", _LINEN, 16, **_TWO),
        Contender("Equinox jit loop", "population_loops.equinox", 16, needs="equinox"),
        Contender("Linen ensemble", "population_ensembles.linen", 32),
        Contender("Equinox ensemble", **_EQUINOX),
        Contender("Equinox ensemble (2 processes)", **_EQUINOX, **_TWO),
        Contender(_HANDWRITTEN, "handwritten.population", 32),
    ),
    bars=(
        Bar("x faster than PyTorch eager", _EAGER_NAMES, "jnn", at_least=35),
        Bar("x faster than PyTorch's best variant", _TORCH_NAMES, "jnn", at_least=15),
        Bar("x faster than Keras-JAX", ("Keras (JAX)",), "jnn", at_least=11),
        Bar("x faster than Linen and Equinox loops", _LOOP_NAMES, "jnn", at_least=4.5),
        Bar("x faster than Linen and Equinox ensembles", _ENSEMBLE_NAMES, "jnn", at_least=4.5),
        Bar("x faster than the hand-written program", (_HANDWRITTEN,), "jnn", at_least=1.3),
        Bar(
            "x faster than the best peer, whole job with compilation",
            _ALL_NAMES,
            "jnn",
            at_least=2,
            of="job",
        ),
    ),
    quality=Quality(least=0.94, absolute=0.005),
)

LENET = Case(
    "lenet",
    title="LeNet-like net on 28x28x1, batch 64, Adam, 30 steps: a job of 16 seeds",
    job=Job("lenet", members=16, epochs=1, batch_size=64),
    contenders=(
        Contender("jnn", "population.jnn_run", 16),
        *_EAGER,
        Contender("PyTorch func (2 threads)", **_FUNC, members=8, environment=threads(2)),
        Contender("Linen jit loop", _LINEN, 4),
        Contender("Linen jit loop (2 processes)", _LINEN, 4, **_TWO),
    ),
    bars=(
        Bar(
            "x faster than PyTorch's best variant",
            (*_EAGER_NAMES, "PyTorch eager (2 processes)", "PyTorch func (2 threads)"),
            "jnn",
            at_least=1.5,
        ),
        Bar(
            "x faster than the Linen loop",
            ("Linen jit loop", "Linen jit loop (2 processes)"),
            "jnn",
            at_least=4,
        ),
    ),
    quality=Quality(least=0.6, absolute=0.005),
)

CASES = (DIGITS, LENET)
