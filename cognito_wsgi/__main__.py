"""``python -m cognito_wsgi``: the command ``cognito-wsgi``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
