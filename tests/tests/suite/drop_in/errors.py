"""A standard error that can't be written to, and a history that can't, change no answer.

    errors.py ACCOUNT HOW   while another process holds the account
"""

import io
import os
import subprocess
import sys

import process_lock
from process_lock import ProcessLock

HOLD = "import sys, process_lock as p\nassert p.ProcessLock('BRAIN_HOLDER', sys.argv[1]).acquire()\nprint('held', flush=True)\nsys.stdin.readline()"


class Odd:
    """As a window that shows what is said, and is gone."""

    def write(self, _text):
        raise RuntimeError("no window")

    flush = write


def spoil(how):
    if how == "closed":
        os.close(2)
    elif how == "closed object":
        sys.stderr.close()
    elif how == "none":
        sys.stderr = None
    elif how == "no reader":
        reader, writer = os.pipe()
        os.dup2(writer, 2)
        os.close(reader)
        os.close(writer)
    elif how == "odd":
        sys.stderr = Odd()
    else:
        assert how == "few characters"
        sys.stderr = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", errors="strict", write_through=True)


account, how = sys.argv[1:3]
holder = subprocess.Popen(
    [sys.executable, "-c", HOLD, account], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    cwd=os.path.dirname(os.path.abspath(__file__)))
assert holder.stdout.readline().strip() == b"held"
spoil(how)
history = process_lock.LOCK_DIR / "history.jsonl"
history.unlink()
history.mkdir()
assert ProcessLock("BRAIN_DROPIN", account).acquire() is False
if how == "few characters":
    process_lock._say("\u0436 is refused")
    assert b"is held by PID" in sys.stderr.buffer.getvalue() and b"\\u0436 is refused" in sys.stderr.buffer.getvalue()
lock = ProcessLock("BRAIN_DROPIN", "nan")
assert lock.acquire() is True
lock.release()
assert not lock.lock_file.exists()
holder.stdin.close()
holder.wait()
holder.stdout.close()
with ProcessLock("BRAIN_DROPIN", account):
    pass
os._exit(0)  # what can't be flushed at the end is another matter
