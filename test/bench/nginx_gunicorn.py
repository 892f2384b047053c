"""nginx in front of gunicorn gthread, as Heroku's nginx buildpack runs them: two programs, a socket between them.

The buildpack starts both and ends when either ends. SIGTERM reaches both, and nginx takes it for a fast shutdown
(heroku/heroku-buildpack-nginx issue 31).
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 10000; }}
http {{
  access_log off;
  client_max_body_size 1g;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_timeout 95;
  upstream application {{ server unix:{folder}/gunicorn.sock fail_timeout=0; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }}
  }}
}}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nginx", default="nginx")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=5)
    parser.add_argument("application")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: None)  # both programs get it themselves
    settings = Path(__file__).with_name("heroku_gunicorn.conf.py")
    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as folder:
        Path(folder).chmod(0o755)  # started by root, nginx gives its worker to another user
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(CONFIGURATION.format(folder=folder, port=options.port))
        sizes = [f"--workers={options.workers}", f"--threads={options.threads}"]
        where = [f"--config={settings}", f"--bind=unix:{folder}/gunicorn.sock"]
        gunicorn = subprocess.Popen([sys.executable, "-m", "gunicorn", *where, *sizes, options.application])
        while gunicorn.poll() is None and not Path(folder, "gunicorn.sock").exists():
            time.sleep(0.005)
        nginx = subprocess.Popen([options.nginx, "-e", "stderr", "-c", str(configuration)])
        while gunicorn.poll() is None and nginx.poll() is None:
            time.sleep(0.05)
        for program in (gunicorn, nginx):
            program.terminate()
        return gunicorn.wait() or nginx.wait()


if __name__ == "__main__":
    sys.exit(main())
