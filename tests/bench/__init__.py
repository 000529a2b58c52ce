"""What the gateway costs. ``python -m tests.bench`` prints the table of the README's performance section.

    scene.py       the application, its users, their requests
    sides.py       what is compared: each a WSGI application with the requests it is to answer
    peers.py       the sides that need flask-cognito-lib
    key_server.py  the user pool's key set on loopback, in a process of its own; counts who fetches it
    measuring.py   many short runs, all sides taking turns
    quiet.py       which of them nobody disturbed
    footprint.py   memory of remembered sessions, import times: in fresh interpreters
    table.py       rows, goals, Markdown
    throughput.py  a second table, of gunicorn under wrk: ``python -m tests.bench.throughput``

The unit is one raw RSA-2048 verification, timed as a middleware over the same application (design.md §9).
"""
