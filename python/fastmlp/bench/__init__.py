"""`fastmlp bench`: times of training steps and predictions, here and in other libraries.

`command.py` is the command. `workloads.py` says what is timed, `peers.py` how each library does it;
`measure.py` lets the libraries take turns, each in a process of its own (`worker.py`). The full
benchmark is in the repository's folder `benchmarks/`, which adds workloads, goals and reports to
this. Nothing here is imported with the package.
"""
