"""The training steps in other engines, each run in a Python process of its own.

They are run by the benchmark's worker (`frontends/cli/bench/peers/worker.py`), for which a "model"
is the name of a row and the "inputs" are images, labels and the first values of all parameters, in
the order in which `networks.py` makes its variables. Nothing here imports tensorkiln.
"""
