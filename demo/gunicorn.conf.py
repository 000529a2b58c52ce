"""gunicorn's settings for the newspaper. What it does and how to call it: wsgi.py."""

bind = "127.0.0.1:5000"

# One process, because the articles live in its memory; the gateway itself runs in as many as you like.
workers = 1
# The live page holds a thread for as long as somebody reads it.
worker_class = "gthread"
threads = 16

# Without the query: the callback's holds the code of a sign-in.
accesslog = "-"
access_log_format = "%(h)s %(m)s %(U)s %(s)s %(B)s"
