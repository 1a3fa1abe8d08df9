"""`python -m tensorkiln.tools.compatibility.tf_upgrade`."""

import sys

from tensorkiln.frontends.tools.tf_upgrade import main

if __name__ == "__main__":
    sys.exit(main())
