"""Suite `study`: whole jobs from a cold process, imports and compilation included."""

from benchmarks.case import Bar, Case, Job, Quality
from benchmarks.contender import Contender, threads

_LOOP = {"peer": "population_loops.torch", "members": 4, "needs": "torch"}
_PEERS = (
    Contender("PyTorch loop (1 thread)", **_LOOP, environment=threads(1)),
    Contender("PyTorch loop (2 processes)", **_LOOP, environment=threads(1), processes=2),
    Contender(
        "torch.func ensemble (2 threads)",
        "population_ensembles.torch",
        300,
        environment=threads(2),
        needs="torch",
    ),
    Contender("Equinox ensemble", "population_ensembles.equinox", 300, needs="equinox"),
)
_PEER_NAMES = tuple(contender.name for contender in _PEERS)
_SEARCHES = (
    Contender("scikit-learn, RandomizedSearchCV", "search.scikit_learn", 6, environment=threads(1)),
    Contender("PyTorch loop, 1 thread", "search.torch", 6, environment=threads(1), needs="torch"),
)

CASES = (
    Case(
        "study_digits",
        title="300 members of the MLP 64-32-10 on digits, batch 32, Adam, 20 epochs",
        job=Job("digits", members=300, epochs=20, batch_size=32, most_warm_ups=3),
        contenders=(Contender("jnn", "population.jnn_run", 300), *_PEERS),
        bars=(
            Bar(
                "x faster than a PyTorch loop, from a cold process",
                _PEER_NAMES[:2],
                "jnn",
                at_least=10,
                of="cold",
            ),
            Bar(
                "x faster than the best peer, from a cold process",
                _PEER_NAMES,
                "jnn",
                at_least=2,
                of="cold",
            ),
        ),
        quality=Quality(least=0.94, absolute=0.005),
        rounds=3,
    ),
    Case(
        "study_search",
        title=(
            "a random search of 50 learning rates on 3 folds: MLP 64-32-10 on digits, batch 32, "
            "Adam, 20 epochs"
        ),
        job=Job("search", members=150, epochs=20, batch_size=32, most_warm_ups=2),
        contenders=(Contender("jnn", "search.jnn", 150), *_SEARCHES),
        bars=(
            Bar(
                "x faster than the best peer, from a cold process",
                tuple(contender.name for contender in _SEARCHES),
                "jnn",
                at_least=2,
                of="cold",
            ),
        ),
        quality=Quality(least=0.7),
        rounds=3,
    ),
)
