from gevent import monkey

monkey.patch_all()  # first of all: preload_app imports the application before gunicorn would do this

bind = "127.0.0.1:8000"
workers = 2
worker_class = "gevent"
preload_app = True
