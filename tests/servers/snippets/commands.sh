gunicorn --bind 127.0.0.1:8000 --workers 4 myapp:app                        # sync
gunicorn --bind 127.0.0.1:8000 --workers 2 --threads 8 myapp:app            # gthread
gunicorn --bind 127.0.0.1:8000 --workers 2 --worker-class gevent myapp:app  # gevent
waitress-serve --listen 127.0.0.1:8000 --threads 8 myapp:app                # waitress
uwsgi --ini uwsgi.ini                                                       # uWSGI
flask --app myapp run --port 8000                                           # development
