"""The application that the browser visits: a few pages, a form, and the script of the README."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

from cognito_wsgi import CognitoGateway

from ..readme import block_of

RULES: dict[str, Any] = {
    "/": "public",
    "/favicon.ico": "public",
    "/admin": ["admin"],
    "/vault": {"max_auth_age": 60},
    "/shop": "public",
}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<h1>{title}</h1>
{body}
<nav><a href="/">Home</a> <a href="/claims">Claims</a> <a href="/admin">Admin</a> <a href="/logout">Sign out</a></nav>
"""

FORM = """<form method="post" action="/notes"><input name="note"><button>Save</button></form>"""

#: Runs the README's script on arrival, and once more at the press of a button.
ORDERS = f"""<button>Load</button>
<script type="module">
{block_of("js")}</script>
<script>
document.querySelector("button").onclick = () => {{
  const again = document.createElement("script");
  again.type = "module";
  again.text = document.querySelector("script[type=module]").text;
  document.body.append(again);
}};
</script>"""


def create_app(settings: dict[str, Any], **options: Any) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(settings)

    def page(title: str, body: str = "") -> str:
        return PAGE.format(title=title, body=body)

    @app.get("/")
    def home() -> str:
        claims = request.environ["cognito.claims"]
        return page(f"Hello, {claims['username']}" if claims else "Hello, stranger")

    @app.get("/claims")
    def claims() -> str:
        claims = request.environ["cognito.claims"]
        user_info = request.environ["cognito.user_info"]
        facts = f"<p id=username>{claims['username']}</p><p id=email>{user_info['email']}</p>"
        return page("Your claims", facts + f"<p id=query>{request.query_string.decode()}</p>")

    @app.get("/admin")
    def admin() -> str:
        return page("Administration")

    @app.get("/vault")
    def vault() -> str:
        return page("The vault")

    @app.get("/notes")
    def notes() -> str:
        return page("Notes", FORM)

    @app.post("/notes")
    def save_note() -> str:
        return page("Saved", f"<p id=note>{request.form['note']}</p>")

    @app.get("/orders")
    @app.get("/shop")
    def orders() -> str:
        return page("Orders", ORDERS)

    @app.get("/api/orders")
    def list_orders() -> list[str]:
        return ["tea"]

    app.wsgi_app = CognitoGateway(app.wsgi_app, app.config, RULES, **options)  # type: ignore[method-assign]
    return app
