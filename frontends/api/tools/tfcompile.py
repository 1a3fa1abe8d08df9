"""`python -m tensorkiln.tools.tfcompile`: a graph as an object file and a C++ class."""

import sys

from tensorkiln.frontends.tools.tfcompile import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
