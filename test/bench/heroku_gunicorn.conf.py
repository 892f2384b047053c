"""The production settings of Heroku's sample site (heroku/python-getting-started, gunicorn.conf.py)."""

from __future__ import annotations

import os

worker_class = "gthread"
threads = 5
preload_app = True
timeout = 20
graceful_timeout = 20
keepalive = 95  # longer than the 90 s of Heroku's router
reuse_port = os.environ.get("BENCH_BEHIND_NGINX") != "yes"  # not for a Unix socket
forwarded_allow_ips = "*"
accesslog = None if os.environ.get("BENCH_ACCESS_LOG") == "off" else "-"
access_log_format = (
    'gunicorn method=%(m)s path="%(U)s" status=%(s)s duration=%(M)sms request_id=%({x-request-id}i)s '
    'fwd="%({x-forwarded-for}i)s" user_agent="%(a)s"'
)
