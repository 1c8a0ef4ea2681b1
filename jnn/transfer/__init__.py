"""Heads on frozen features: the trunk runs once, and thousands of heads are one population.

few = jnn.transfer.run(trunk, data, heads=study, labels=[16, 64, 256, 1024])
print(few)
"""

from jnn.transfer._curve import FewShot
from jnn.transfer._labels import Draws
from jnn.transfer._probe import linear_probe
from jnn.transfer._run import run
from jnn.transfer._trunk import Trunk, trunk

__all__ = ["Draws", "FewShot", "Trunk", "linear_probe", "run", "trunk"]
