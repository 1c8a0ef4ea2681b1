"""Suite `transfer`: heads on a frozen trunk, and what they replace."""

from benchmarks.case import Bar, Case, Job, Quality
from benchmarks.contender import Contender, threads

_SKLEARN = Contender(
    "LogisticRegression (scikit-learn)", "transfer.scikit_learn", 80, environment=threads(1)
)
_TORCH = Contender(
    "fine-tuning, PyTorch", "transfer.torch", 4, environment=threads(2), needs="torch"
)
_TUNED = Contender("fine-tuning, jnn", "transfer.jnn_tuned", 20)
_TITLE = "digits on a frozen trunk of 512 features, 20 splits x 16, 64, 256 and 1024 labels"

CASES = (
    Case(
        "heads",
        title=f"{_TITLE}: linear probes",
        job=Job("heads", members=80, epochs=10, batch_size=32, most_warm_ups=2),
        contenders=(Contender("jnn", "transfer.jnn", 80), _SKLEARN),
        bars=(
            Bar("x faster than a loop of LogisticRegression", (_SKLEARN.name,), "jnn", at_least=20),
        ),
        quality=Quality(least=0.8, absolute=0.005),
        rounds=5,
    ),
    Case(
        "heads_or_tuning",
        title=f"{_TITLE}: linear probes against fine-tuning the whole network, 10 epochs",
        job=Job("heads", members=80, epochs=10, batch_size=32, most_warm_ups=2),
        contenders=(Contender("jnn", "transfer.jnn", 80), _TUNED, _TORCH),
        bars=(
            Bar("x faster than fine-tuning in PyTorch", (_TORCH.name,), "jnn", at_least=20),
            Bar("x faster than fine-tuning in jnn", (_TUNED.name,), "jnn", at_least=20),
        ),
        quality=Quality(least=0.75),
        rounds=5,
    ),
)
