"""The same application behind one proxy, which tells in headers who asked, and that he did by https."""

from myapp import app
from werkzeug.middleware.proxy_fix import ProxyFix

app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)
