"""Every address of the site."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.i18n import set_language

from flyai_site.api import people, workers
from flyai_site.pages import account, contest, frame, organise, tries

handler400 = "flyai_site.guard.malformed"
handler404 = "flyai_site.guard.not_found"
handler500 = "flyai_site.guard.broken"


def healthy(request: HttpRequest) -> HttpResponse:
    """For whoever watches the site: the database answers."""
    from flyai_site.models import Contest

    return HttpResponse(f"ok {Contest.objects.count()}\n", content_type="text/plain")


RUN = "api/worker/runs/<int:run>/<int:attempt>"
urlpatterns = [
    path("", contest.home),
    path("assets/<slug:tag>/<str:name>", frame.serve_asset),
    path("healthz", healthy),
    path("language", set_language),
    path("register", account.register),
    path("login", account.log_in),
    path("logout", account.log_out),
    path("me", account.me),
    path("me/tokens/<int:number>/drop", account.drop_token),
    path("c/<slug:slug>", contest.show),
    path("c/<slug:slug>/board", contest.board),
    path("c/<slug:slug>/board/rows", contest.board_rows),
    path("c/<slug:slug>/row/<int:number>.css", contest.row_style),
    path("c/<slug:slug>/data.zip", contest.data),
    path("c/<slug:slug>/join", contest.join),
    path("c/<slug:slug>/team", contest.team_word),
    path("c/<slug:slug>/submit", tries.submit),
    path("c/<slug:slug>/mine", tries.mine),
    path("c/<slug:slug>/choose", tries.choose),
    path("s/<int:number>", tries.show),
    path("s/<int:number>/live", tries.live),
    path("s/<int:number>/log", tries.log),
    path("s/<int:number>/report", tries.report),
    path("organise/new", organise.create),
    path("organise/workers", organise.workers),
    path("organise/<slug:slug>", organise.overview),
    path("organise/<slug:slug>/settings", organise.change),
    path("organise/<slug:slug>/reveal", organise.reveal_now),
    path("organise/<slug:slug>/invite", organise.invite),
    path("organise/<slug:slug>/export.csv", organise.export),
    path("organise/<slug:slug>/audit", organise.audit_page),
    path("organise/<slug:slug>/p/<int:number>", organise.participant),
    path("organise/<slug:slug>/r/<int:number>/<str:deed>", organise.run_deed),
    path("api/login", people.log_in),
    path("api/contests", people.contests),
    path("api/mine", people.mine),
    path("api/c/<slug:slug>/submissions", people.submit),
    path("api/c/<slug:slug>/board", people.board),
    path("api/s/<int:number>", people.show),
    path("api/s/<int:number>/log", people.log),
    path("api/worker/claim", workers.claim),
    path(f"{RUN}/beat", workers.beat),
    path(f"{RUN}/state", workers.state),
    path(f"{RUN}/log", workers.log),
    path(f"{RUN}/report", workers.report),
    path(f"{RUN}/finish", workers.finish),
    path("api/blobs/<str:sha256>", workers.file),
]
if settings.SITE.admin:
    from django.contrib import admin
    from django.contrib.staticfiles.views import serve

    urlpatterns += [path("admin/", admin.site.urls), path("static/<path:path>", serve, {"insecure": True})]
