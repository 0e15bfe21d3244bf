"""Benchmarks against other libraries on the same work, in the same run.

`fastmlp bench` is the short form, with what is installed; `benchmarks/run.py` in the repository
installs every peer and prints the full tables. Works are in `works.py`, one class for each library in
`peers.py`; every library runs in a process of its own (`worker.py`), and `measure.py` lets them take
turns. Nothing here is imported with the package.
"""
