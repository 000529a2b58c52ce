# gunicorn, sync
gunicorn --bind 127.0.0.1:8000 --workers 4 myapp:app
# gunicorn, gthread
gunicorn --bind 127.0.0.1:8000 --workers 2 --threads 8 myapp:app
# gunicorn, gevent
gunicorn --bind 127.0.0.1:8000 --workers 2 --worker-class gevent myapp:app
# gunicorn, gevent and preload_app
gunicorn --config gunicorn.conf.py myapp:app
# waitress
waitress-serve --listen 127.0.0.1:8000 --threads 8 myapp:app
# waitress, behind a proxy
waitress-serve --listen 127.0.0.1:8000 --threads 8 --trusted-proxy 127.0.0.1 --trusted-proxy-headers "x-forwarded-for x-forwarded-proto" myapp:app
# uWSGI
uwsgi --ini uwsgi.ini
# werkzeug, for development
flask --app myapp run --port 8000
