from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.models import Group


class CognitoBackend(RemoteUserBackend):
    """Makes a Django user of whoever the gateway has let in."""

    def clean_username(self, username):
        return username.encode("latin-1").decode()  # PEP 3333: the environ has bytes as latin-1

    def configure_user(self, request, user, created=True):
        groups = [Group.objects.get_or_create(name=name)[0] for name in request.META["cognito.groups"]]
        user.groups.set(groups)
        user.is_staff = "admin" in request.META["cognito.groups"]
        user.save()
        return user
