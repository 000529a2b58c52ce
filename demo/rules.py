"""Who may open what: all of the newspaper's access control, in one place.

A key is a path, after a method where the method matters. It covers everything beneath that path;
the most specific key wins. What no key covers is for signed-in readers: nothing is open because
somebody forgot it.
"""

from __future__ import annotations

from collections.abc import Mapping

RULES: dict[str, object] = {
    # Everyone, signed in or not.
    "/": "public",  # the front page alone: "/" is the one key that covers nothing beneath it
    "GET /articles": "public",
    "/guide": "public",
    "/static": "public",
    "/health": {"allow": "public", "exact": True},  # this path and nothing beneath it
    "/favicon.ico": {"allow": "public", "exact": True},
    # Every reader with an account.
    "/account": "authenticated",
    "/claims": "authenticated",
    "/live": "authenticated",
    "/api": "authenticated",
    # The newsroom, by its groups in the user pool.
    "/desk": {"groups": ["admin", "editor"], "any_group": True},  # either group will do
    "POST /articles": ["editor"],
    "/lead": ["admin", "editor"],  # both groups are needed
    "/admin": ["admin"],
    "/admin/backup": "deny",  # switched off: nobody, whatever the group
    # Machines, by the scopes of their access tokens.
    "GET /api/wire": {"scopes": ["newsroom/read"]},
    "POST /api/wire": {"scopes": ["newsroom/write"]},
    "/metrics": {"scopes": ["newsroom/read"]},  # Prometheus is a machine client, too
}


def in_words(access: object) -> str:
    """Who gets in, as the guide page says it."""
    match access:
        case "public":
            return "everyone"
        case "authenticated":
            return "every signed-in reader"
        case "deny":
            return "nobody"
        case list(groups):
            return f"members of {' and '.join(groups)}"
        case {"groups": groups, "any_group": True}:
            return f"members of {' or '.join(groups)}"
        case {"scopes": scopes}:
            return f"access tokens with the scope {' and '.join(scopes)}"
        case Mapping() as conditions if conditions.get("exact"):
            return f"{in_words(conditions['allow'])}, on this path alone"
    return repr(access)
