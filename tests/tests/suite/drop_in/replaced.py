"""A bot that replaces its program twice, and starts a helper in the background. At each step it asks
for its account in another folder.

    replaced.py ACCOUNT OTHER_LOCK_DIR
"""

import os
import subprocess
import sys

from process_lock import ProcessLock

ASK = "import sys, process_lock as p; p.LOCK_DIR = sys.argv[2]; sys.exit(75 * (not p.ProcessLock('BRAIN_OTHER', sys.argv[1]).acquire()))"


def assert_refused(when):
    asked = subprocess.run(
        [sys.executable, "-c", ASK, *sys.argv[1:3]], cwd=os.path.dirname(os.path.abspath(__file__)),
        stderr=subprocess.PIPE, check=False)
    assert asked.returncode == 75, (life, when)
    assert f"PID {os.getpid()} (" in asked.stderr.decode(), (life, when, asked.stderr)


life = int(os.environ.get("LIFE", "1"))
if life > 1:
    assert_refused("before it acquires")
lock = ProcessLock("BRAIN_DROPIN", sys.argv[1])
assert lock.acquire()
assert_refused("while it holds")
try:
    os.execv("/nowhere", ["nowhere"])
except OSError:
    pass
os.system("sleep 60 >/dev/null 2>&1 </dev/null & echo helper $!")
if life < 3:
    os.environ["LIFE"] = str(life + 1)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable] + sys.argv)
print("held by PID", os.getpid(), flush=True)
sys.stdin.readline()
# Another program has none of the module; the process keeps its lock until it ends.
os.execvp("sh", ["sh", "-c", "echo replaced; read line"])
