"""Every server that the README has a snippet for tells the same story."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cognito_wsgi.local import LocalUserPool

from ..serving import free_port
from .serve import APPS, COMMANDS, need, need_program, place, running, serving
from .story import Site, tell_story

pytestmark = pytest.mark.server


@pytest.mark.parametrize("name", COMMANDS)
def test_sign_in_refresh_streams_uploads_and_sign_out_work_under(name, user_pool, tmp_path):
    with serving(name, user_pool, tmp_path) as site:
        tell_story(site)
    assert_reported(site)


def test_sign_in_refresh_streams_uploads_and_sign_out_work_under_apache(user_pool, tmp_path):
    with apache(user_pool, tmp_path) as site:
        tell_story(site)
        assert_knows_bearer(site)
    assert_reported(site)


def assert_reported(site: Site) -> None:
    """``on_event`` is called from a thread of the gateway's: it runs under this server."""
    expected = {"denied", "keys_fetched", "signed_in", "refreshed", "signed_out"}
    assert set(re.findall(r"event (\w+)", site.log)) >= expected


def assert_knows_bearer(site: Site) -> None:
    token = site.pool.issue_tokens("bob", client="web")["access_token"]
    assert site.fetch("/account", bearer=token).json()["user"] == "bob"


MODULES = Path("/usr/lib/apache2/modules")  # Debian's
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

#: What Debian's apache2.conf does for the snippet.
MAIN_CONF = """
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
WSGISocketPrefix {folder}/wsgi
ServerName localhost
Listen 127.0.0.1:{port}
ErrorLog /dev/stderr
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so-{python}
Include {site}
"""

#: Apache lets no application run as root, and another user may not be let into our folders.
AS_NOBODY = (
    *(
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "--securebits",
        "+no_setuid_fixup",
    ),
    *("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"),
)


@contextmanager
def apache(pool: LocalUserPool, folder: Path) -> Iterator[Site]:
    need_program("apache2")
    modules = sorted(MODULES.glob("mod_wsgi.so-3.*"))
    need("mod_wsgi", modules)
    if not (MODULES / f"mod_wsgi.so-{PYTHON}").exists():
        pytest.skip(f"{modules[0].name} is not for Python {PYTHON}")
    port = free_port()
    site = place("apache.conf", folder, {"8000": port, "/srv/myapp/venv": sys.prefix, "/srv/myapp": APPS})
    main = folder / "main.conf"
    main.write_text(MAIN_CONF.format(folder=folder, port=port, modules=MODULES, python=PYTHON, site=site))
    command = [*(AS_NOBODY if os.geteuid() == 0 else ()), "apache2", "-f", str(main), "-DFOREGROUND"]
    with running(command, pool, folder, port=port, AWS_COGNITO_BEARER_ENABLED="yes") as served:
        yield served
