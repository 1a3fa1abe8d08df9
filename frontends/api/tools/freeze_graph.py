"""`python -m tensorkiln.tools.freeze_graph`: a graph with the variables of a checkpoint as one file."""

import sys

from tensorkiln.frontends.tools.freeze_graph import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
