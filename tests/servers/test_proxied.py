"""Behind nginx, which speaks TLS to the visitors: https addresses, Secure cookies and forwarded headers are real."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from requests.adapters import HTTPAdapter

from ..serving import free_port, process
from .serve import PATH, need_program, place, serving
from .story import Site, tell_story

pytestmark = pytest.mark.server

#: What Debian's nginx.conf does for the snippet.
MAIN_CONF = """
daemon off;
user root root;
pid {folder}/pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    include {site};
}}
"""


@pytest.mark.parametrize(
    ("name", "app"),
    [
        pytest.param("gunicorn, gthread", "proxied", id="gunicorn and ProxyFix"),
        pytest.param("uWSGI", "proxied", id="uWSGI and ProxyFix"),
        # It takes the headers away from everybody but a proxy that it is told to trust, and needs no ProxyFix then.
        pytest.param("waitress, behind a proxy", "myapp", id="waitress"),
    ],
)
def test_cookies_are_secure_and_the_application_knows_the_https_address_behind_nginx(
    name, app, user_pool, tmp_path
):
    need_program("nginx")
    port = free_port()
    origin = f"https://localhost:{port}"
    with serving(name, user_pool, tmp_path, app=app, origin=origin) as site, nginx(site, tmp_path, port):
        tell_story(site)


@contextmanager
def nginx(site: Site, folder: Path, port: int) -> Iterator[None]:
    """Until the block ends nginx stands in front of a site, and the site's visitors trust its certificate."""
    certificate, key = make_certificate("localhost", folder)
    changes = {
        "listen 443": f"listen 127.0.0.1:{port}",
        "www.example.org": "localhost",
        "/etc/ssl/myapp.pem": certificate,
        "/etc/ssl/myapp.key": key,
        "http://127.0.0.1:8000": site.server,
    }
    main = folder / "main.conf"
    main.write_text(MAIN_CONF.format(folder=folder, site=place("nginx.conf", folder, changes)))
    command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(main)]
    site.browser.verify = str(certificate)
    site.browser.trust_env = False  # or a bundle named there would take the certificate's place
    site.visitor = "127.0.0.2"  # not the proxy's own address
    site.browser.mount("https://", from_address(site.visitor))
    with process(command, port=port, env={"PATH": PATH}):
        yield


def from_address(address: str) -> HTTPAdapter:
    adapter = HTTPAdapter()
    adapter.init_poolmanager(1, 1, source_address=(address, 0))
    return adapter


def make_certificate(host: str, folder: Path) -> tuple[Path, Path]:
    """A certificate that is its own authority, and its key, as files for nginx."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, SHA256())
    )
    files = folder / "site.pem", folder / "site.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
