"""Measurements of jnn beside its peers, made so that they count as evidence.

Peers are interleaved in one run; every number has its spread, its machine and the quality of what
was computed. Read one file of `suites/` (what is measured, and which bars it is held to), then
`rounds.py` (how a number is made), then one file of `peers/`. `measure.py` measures a suite in
worker processes (`process.py`, `worker.py`); `counters.py` counts; `record.py` keeps the results,
`judge.py` decides what counts, `report.py` prints tables, `compare.py` compares two sets of
records, and `documents.py` writes the generated blocks of the documentation.
"""
