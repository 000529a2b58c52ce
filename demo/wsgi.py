"""The newspaper for a production server. Its settings come from environment variables:

    python -m cognito_wsgi.local    # prints the AWS_… settings of its client 'web': export them, then
    export AWS_COGNITO_REFRESH_FLOW_ENABLED=true
    export AWS_COGNITO_BEARER_ENABLED=true AWS_COGNITO_BEARER_CLIENT_IDS=7machineclient000000000000
    export SECRET_KEY=$(python -c 'import secrets; print(secrets.token_hex(32))')
    gunicorn --config demo/gunicorn.conf.py demo.wsgi:app

Then open http://localhost:5000/, the address that the pool's settings name.
"""

from cognito_wsgi import CognitoConfig

from .app import create_app

app = create_app(CognitoConfig.from_env())
