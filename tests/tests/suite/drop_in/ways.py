"""What a bot does with its lock, for all ways to start a Python.

    ways.py ACCOUNT
"""

import os
import sys

import process_lock
from process_lock import LockHeldError, ProcessLock

lock = ProcessLock("BRAIN_DROPIN", sys.argv[1])
if not lock.acquire():
    sys.exit(3)
try:
    with ProcessLock("BRAIN_OTHER", sys.argv[1]):
        sys.exit(4)
except LockHeldError as error:
    if f"PID {os.getpid()} " not in str(error):
        sys.exit(5)
if [one["name"] for one in process_lock.list_active_locks()] != ["BRAIN_DROPIN"]:
    sys.exit(6)
if process_lock.main(["--list"]) or process_lock.main(["--clear-stale"]):
    sys.exit(7)
lock.release()
with lock:
    print("held", flush=True)
