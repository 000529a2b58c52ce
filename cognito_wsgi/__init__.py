"""AWS Cognito in front of any WSGI application: sign-in, verified sessions, and a route map that decides who gets in."""

from .config import CognitoConfig
from .errors import (
    AuthorisationRequiredError,
    BadRequestError,
    CognitoError,
    CognitoGroupRequiredError,
    CognitoWsgiError,
    ConfigurationError,
    CrossSiteRequestError,
    RefusalError,
    TokenVerifyError,
)
from .gateway import CognitoGateway
from .rules import Access, RouteRules

__all__ = [
    "Access",
    "AuthorisationRequiredError",
    "BadRequestError",
    "CognitoConfig",
    "CognitoError",
    "CognitoGateway",
    "CognitoGroupRequiredError",
    "CognitoWsgiError",
    "ConfigurationError",
    "CrossSiteRequestError",
    "RefusalError",
    "RouteRules",
    "TokenVerifyError",
]
