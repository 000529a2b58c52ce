"""The user pool's key set on loopback, in a process of its own, as Cognito is: its work is nobody's CPU time here.

keys = stack.enter_context(KeyServer(pool.jwks))
… requests ask keys.url("gateway") …
keys.fetches("gateway")
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class KeyServer:
    """The server's process, as seen from the benchmark. Each side asks under a name of its own."""

    def __init__(self, jwks: dict[str, Any]) -> None:
        self._jwks = jwks

    def __enter__(self) -> KeyServer:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.key_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._origin = f"http://127.0.0.1:{self._ask(self._jwks)}"
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()  # the end of its input is the end of the server

    def url(self, side: str) -> str:
        return f"{self._origin}/{side}/jwks.json"

    def fetches(self, side: str) -> int:
        return int(self._ask(side))

    def _ask(self, question: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def main() -> None:
    """Reads a key set and then names of sides, one JSON text a line; answers with its port, then with counts."""
    body = sys.stdin.readline().encode()
    fetches: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetches[self.path.split("/")[1]] += 1
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
        for line in sys.stdin:
            print(fetches[json.loads(line)], flush=True)
        server.shutdown()


if __name__ == "__main__":
    main()
