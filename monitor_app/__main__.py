"""`python -m monitor_app`, the same as `haip-monitor`."""

import sys

from monitor_app.app import main

if __name__ == "__main__":
    sys.exit(main())
