"""Django: the gateway goes around the application that get_wsgi_application makes."""

import os

from django.core.wsgi import get_wsgi_application

from cognito_wsgi import CognitoConfig, CognitoGateway

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_site.settings")

application = CognitoGateway(
    get_wsgi_application(),
    CognitoConfig.from_env(),
    rules={"/": "public", "/keys": ["admin"]},
)
