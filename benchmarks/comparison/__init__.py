"""What the full benchmark adds to `fastmlp.bench`, which measures.

`workloads.py` has more tasks, `peers.py` more libraries and the roofline. `record.py` keeps the
times of a run in a file. `report.py` makes tables of them, `goals.py` compares them with the
project's goals, `pages.py` writes the results page of the docs and the README's tables, and
`plot.py` draws.
"""
