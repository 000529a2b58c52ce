"""AWS Cognito in front of any WSGI application."""
