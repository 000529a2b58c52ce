"""The same application, which has answered a request before any worker is forked from it."""

import os
from pathlib import Path

from myapp import app, wait_for
from werkzeug.test import Client

Client(app).get(os.environ["MYAPP_FIRST"], headers={"Authorization": f"Bearer {os.environ['MYAPP_TOKEN']}"})
if "MYAPP_FORK_GATE" in os.environ:
    wait_for(Path(os.environ["MYAPP_FORK_GATE"]))
