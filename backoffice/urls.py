"""No door: a request that came through none of the hosts meets nothing."""

urlpatterns: list[object] = []
handler400 = handler403 = handler404 = "backoffice.middleware.closed"
handler500 = "backoffice.middleware.failed"
