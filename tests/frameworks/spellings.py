"""Other ways to write the path ``/keys``, as servers hand them over in PATH_INFO: bytes as latin-1 (PEP 3333)."""

from __future__ import annotations

import pytest

SPELLINGS = [
    pytest.param("//keys", id="slashes before"),
    pytest.param("/keys//", id="slashes behind"),
    pytest.param("/./keys", id="a dot segment"),
    pytest.param("keys", id="no slash"),
    pytest.param("/keys\n", id="a line feed"),
    pytest.param("/keys;x=1", id="a parameter"),
    pytest.param("/KEYS", id="capitals"),
    pytest.param("/ke\xffys", id="a byte that is not UTF-8"),  # Bottle drops it
    pytest.param("/keys\xc3", id="a character cut off"),
    pytest.param("/\xc0\xafkeys", id="an overlong slash"),
    pytest.param("/\xef\xbb\xbfkeys", id="a byte order mark"),
    pytest.param("/\xef\xbd\x8beys", id="a full-width letter"),
]

#: What may become of such a request by somebody who may not have ``/keys``.
HARMLESS = (400, 403, 404)
