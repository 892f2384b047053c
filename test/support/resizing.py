"""Source for a test application: the number in the file `processes`, once it's there, is how many there are."""

RESIZE = """
import sys
from pathlib import Path
from headwaiter.server.supervisor import Supervisor
def resize(supervisor, real=Supervisor.do_what_is_due):
    wanted = Path("processes")
    if wanted.exists() and int(wanted.read_text()) != supervisor.processes:
        supervisor.resize(int(wanted.read_text()), supervisor.threads)
    real(supervisor)
Supervisor.do_what_is_due = resize
Supervisor.pause = lambda supervisor: 0.05
"""
