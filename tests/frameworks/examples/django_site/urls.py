from django.http import JsonResponse
from django.urls import path


def account(request):
    claims = request.META["cognito.claims"]
    return JsonResponse(
        {
            "username": claims["username"],
            "user": request.user.username,
            "groups": sorted(group.name for group in request.user.groups.all()),
            "is_staff": request.user.is_staff,
        }
    )


def front_page(request):
    return JsonResponse({"user": request.user.username, "is_anonymous": request.user.is_anonymous})


urlpatterns = [path("", front_page), path("account/", account), path("keys/", account)]
