"""Other engines, each run in a Python process of its own by `worker.py`.

Nothing here imports tensorkiln: that Python may be one where it is not installed.
"""
