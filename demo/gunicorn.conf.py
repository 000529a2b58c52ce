"""gunicorn's settings for the newspaper. What it does and how to call it: wsgi.py."""

bind = "127.0.0.1:5000"

# One process, because the articles live in its memory; the gateway itself runs in as many as you like.
workers = 1
# The live page holds a thread for as long as somebody reads it.
worker_class = "gthread"
threads = 16

# A large session needs long headers: the gateway's cookies take up to 7,500 bytes of gunicorn's 8,190.
limit_request_field_size = 8190

accesslog = "-"
