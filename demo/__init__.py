"""The Harbour Ledger: a small newspaper, written as if every visitor were allowed in.

    python -m demo           a user pool and the newspaper on this machine; open the address it prints
    python -m demo --tour    the same without a browser, checking every step

Read ``rules.py`` first: it is all the access control there is. ``app.py`` puts the gateway in front;
``views.py`` and ``newsroom.py`` know nothing of sign-in, tokens or OAuth.
"""
