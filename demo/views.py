"""The pages and the API. No view asks who the visitor is in order to let him in: he is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

from flask import (
    Blueprint,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    stream_template,
    url_for,
)
from werkzeug.local import LocalProxy

from .newsroom import SECTIONS, Article, InvalidText, Newsroom, WireLine, parse_draft, parse_wire_line

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

pages = Blueprint("pages", __name__)
api = Blueprint("api", __name__, url_prefix="/api")

newsroom = cast(Newsroom, LocalProxy(lambda: current_app.extensions["newsroom"]))


@pages.app_context_processor
def visitor() -> dict[str, Any]:
    """What the header shows; ``next`` brings the visitor back to this page after signing in."""
    return {
        "username": username(),
        "groups": request.environ.get("cognito.groups", ()),
        "here": request.script_root + request.full_path.removesuffix("?"),
        "sections": SECTIONS,
    }


def username() -> str | None:
    """The user's name, a machine's client id, or None for a visitor who has not signed in."""
    claims = request.environ.get("cognito.claims")
    return (claims.get("username") or claims["client_id"]) if claims else None


def no_article() -> NoReturn:
    abort(404, "There is no such article. It may have been withdrawn.")


# ------------------------------------------------------------------ for everyone


@pages.get("/")
def front() -> ResponseReturnValue:
    lead = newsroom.find_lead()
    others = [article for article in newsroom.articles() if article != lead]
    return render_template("front.html", lead=lead, articles=others)


@pages.get("/articles")
def articles() -> ResponseReturnValue:
    section = request.args.get("section")
    return render_template("articles.html", articles=newsroom.articles(section), section=section)


@pages.get("/articles/<int:number>")
def article(number: int) -> ResponseReturnValue:
    return render_template("article.html", article=newsroom.find_article(number) or no_article())


@pages.get("/guide")
def guide() -> ResponseReturnValue:
    return render_template("guide.html")


@pages.get("/health")
def health() -> ResponseReturnValue:
    return {"status": "ok"}


@pages.get("/favicon.ico")
def favicon() -> ResponseReturnValue:
    return redirect(url_for("static", filename="icon.svg"), code=308)


# ------------------------------------------------------------------ for readers


@pages.get("/account")
def account() -> ResponseReturnValue:
    return render_template(
        "account.html",
        claims=request.environ["cognito.claims"] or {},
        user_info=request.environ["cognito.user_info"] or {},
    )


@pages.get("/claims")
def claims() -> ResponseReturnValue:
    return render_template(
        "claims.html",
        claims=request.environ["cognito.claims"] or {},
        user_info=request.environ["cognito.user_info"],
    )


@pages.get("/live")
def live() -> ResponseReturnValue:
    """The wire, line by line as it comes; the page is complete when the time is up."""
    lines = newsroom.follow_wire(current_app.config["LIVE_SECONDS"], current_app.config["QUIET_SECONDS"])
    # nginx would otherwise collect the page and send it in one piece.
    return stream_template("live.html", lines=lines), {"X-Accel-Buffering": "no"}


# ------------------------------------------------------------------ for the newsroom


@pages.get("/desk")
def desk() -> ResponseReturnValue:
    """The editor's form; the query string may fill it in."""
    return render_template("desk.html", form=request.args, problems={})


@pages.post("/articles")
def publish() -> ResponseReturnValue:
    try:
        draft = parse_draft(request.form)
    except InvalidText as fault:
        return render_template("desk.html", form=request.form, problems=fault.problems), 422
    published = newsroom.publish(draft, author=username() or "the editors")
    return redirect(url_for("pages.article", number=published.number), code=303)


@pages.get("/lead")
def lead() -> ResponseReturnValue:
    return render_template("lead.html", articles=newsroom.articles(), lead=newsroom.find_lead())


@pages.post("/lead")
def choose_lead() -> ResponseReturnValue:
    number = request.form.get("number", type=int)
    if number is None or not newsroom.choose_lead(number):
        no_article()
    return redirect(url_for("pages.front"), code=303)


@pages.get("/admin")
def admin() -> ResponseReturnValue:
    return render_template("admin.html", articles=newsroom.articles(), wire=newsroom.wire(8))


@pages.post("/admin/articles/<int:number>/withdraw")
def withdraw(number: int) -> ResponseReturnValue:
    if not newsroom.withdraw(number):
        no_article()
    return redirect(url_for("pages.admin"), code=303)


# ------------------------------------------------------------------ the API


@api.get("/me")
def me() -> ResponseReturnValue:
    claims = request.environ["cognito.claims"] or {}
    return {
        "username": username(),
        "groups": list(request.environ["cognito.groups"]),
        "expires_at": claims.get("exp"),
    }


@api.get("/headlines")
def headlines() -> ResponseReturnValue:
    """For the box on the front page, which fetches it."""
    return {
        "articles": [article_as_json(article) for article in newsroom.articles()],
        "wire": [line_as_json(line) for line in newsroom.wire(6)],
    }


@api.get("/wire")
def read_wire() -> ResponseReturnValue:
    return {"wire": [line_as_json(line) for line in newsroom.wire()]}


@api.post("/wire")
def send_to_wire() -> ResponseReturnValue:
    try:
        text = parse_wire_line(request.get_json())
    except InvalidText as fault:
        return {"problems": fault.problems}, 422
    return line_as_json(newsroom.send(text, source=username() or "unknown")), 201


def article_as_json(article: Article) -> dict[str, Any]:
    return {
        "number": article.number,
        "headline": article.headline,
        "section": article.section,
        "author": article.author,
        "published": article.published.isoformat(timespec="seconds"),
        "url": url_for("pages.article", number=article.number),
    }


def line_as_json(line: WireLine) -> dict[str, Any]:
    return {
        "number": line.number,
        "text": line.text,
        "source": line.source,
        "sent": line.sent.isoformat(timespec="seconds"),
    }
