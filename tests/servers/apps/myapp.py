"""The application that every server serves: what arrives at it behind the gateway, as JSON and as streams."""

import hashlib
import os
import sys
import time
from pathlib import Path

from flask import Flask, Response, request, url_for

from cognito_wsgi import CognitoConfig, CognitoGateway

app = Flask(__name__)


def report(event):
    sys.stderr.write(f"event {event.name}\n")


app.wsgi_app = CognitoGateway(
    app.wsgi_app,
    CognitoConfig.from_env(),
    rules={"/": "public", "/health": {"allow": "public", "exact": True}},
    on_event=report,
)


@app.get("/")
def front_page():
    return f"Hello {request.remote_user or 'stranger'}"


@app.get("/health")
def health():
    return "well"


@app.get("/account")
def account():
    return {
        "user": request.remote_user,
        "groups": len(request.environ["cognito.groups"]),
        "address": url_for("account", _external=True),
        "visitor": request.remote_addr,
    }


def wait_for(gate):
    end = time.monotonic() + 20
    while not gate.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"nobody has made {gate}")
        time.sleep(0.02)


@app.get("/stream")
def stream():
    """Two lines, the second when whoever has read the first says so by making a file."""

    def lines():
        yield "first\n"
        wait_for(Path(os.environ["MYAPP_GATE"]))
        yield "second\n"

    # nginx passes the lines on as they come if told so here.
    return Response(lines(), mimetype="text/plain", headers={"X-Accel-Buffering": "no"})


@app.post("/upload")
def upload():
    digest = hashlib.sha256()
    while piece := request.stream.read(64 * 1024):
        digest.update(piece)
    return {"sha256": digest.hexdigest()}
