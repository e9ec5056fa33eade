"""What is printed fits each console, and a script's file may have any name.

    consoles.py ACCOUNT
"""

import os
import subprocess
import sys
from pathlib import Path

import process_lock

HERE = Path(__file__).resolve().parent
lock = process_lock.ProcessLock("BRAIN_DROPIN", "\u0436" + sys.argv[1])
assert lock.acquire()
for encoding in ("cp1252", "ascii", "cp65001", "cp437", "utf-8", "latin-1:strict"):
    for words in ("--list", "--json", "--clear-stale"):
        done = subprocess.run(
            [sys.executable, str(HERE / "process_lock.py"), words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}, check=False)
        assert done.returncode == 0, (encoding, words, done)
        assert words == "--clear-stale" or b"BRAIN_DROPIN" in done.stdout, (encoding, words, done)
    refused = subprocess.run(
        [sys.executable, "-c", "import process_lock as p, sys; sys.exit(75 * (not p.ProcessLock('BRAIN_DROPIN').acquire()))"],
        cwd=str(HERE), stderr=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": encoding}, check=False)
    assert refused.returncode == 75 and f"PID {os.getpid()} ".encode() in refused.stderr, (encoding, refused)
lock.release()

# Where there is no lock, the folder that was looked in is said, and the old line is there as it was.
empty = str(HERE / "nothing here")
done = subprocess.run(
    [sys.executable, str(HERE / "process_lock.py"), "--list", "--lock-dir", empty], stdout=subprocess.PIPE,
    stderr=subprocess.PIPE, universal_newlines=True, check=True)
assert done.stdout == "No active locks.\n" and "nothing here" in done.stderr, done

TEXT = "from process_lock import ProcessLock\nwith ProcessLock('BRAIN_DROPIN', {0!r}) as lock:\n    assert lock.get_lock_info()['program']\n"
names = ["\u0436\u00e9 bot.py", "bot 'x' & y.py"] + ([b"b\xe9t.py"] if sys.platform == "linux" else [])
for name in names:
    path = os.path.join(os.fsencode(str(HERE)), os.fsencode(name))
    with open(path, "w", encoding="utf-8") as file:
        file.write(TEXT.format(sys.argv[1]))
    subprocess.run([sys.executable, os.fsdecode(path)], check=True)
