"""What the tests ask of a Python with process_lock.py beside this file.

    speak.py [go] lock DIR NAME [ACCOUNT [shared|paper]]   as `stand-in lock`
    speak.py token DIR NAME ACCOUNT         a script under `qc-lock run` that locks for itself
    speak.py old FILE...                    reads records as scripts written for the old module do
    speak.py serve                          takes each lock that a line [DIR, NAME, ACCOUNT] names, tries to
                                            take it twice, gives it back, and says what came of it

Whatever it does, it ends by itself after two minutes; `serve` with its standard input.
"""

import json
import os
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import process_lock
from process_lock import LockError, LockHeldError, ProcessLock

TOKEN = "QC_LOCK_TOKEN"


def say(*words):
    print(*words, flush=True)


def lock(folder, name, account=None, use=None):
    process_lock.LOCK_DIR = Path(folder)
    # Version 1 of the module knows neither word.
    uses = {"shared": {"shared_account": True}, "paper": {"paper": True}}
    one = ProcessLock(name, account, **uses.get(use, {}))
    try:
        taken = one.acquire()
        if taken is not True:
            assert taken is False, taken
            sys.exit(75)
        say("held by PID", os.getpid())
        sys.stdin.read()
        one.release()
    except LockError as error:
        say("failed:", error)
        sys.exit(1)


def token(folder, name, account):
    process_lock.LOCK_DIR = Path(folder)
    shown = os.environ[TOKEN]
    own = ProcessLock(name, account)
    say("taken:", own.acquire())
    say("token variable:", os.environ.get(TOKEN))
    say("taken twice:", ProcessLock(name, account).acquire())
    for what, env in (("second copy", {}), ("second copy with the token", {TOKEN: shown})):
        copy = subprocess.run(
            [sys.executable, __file__, "lock", folder, name, account],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **env}, check=False)
        named = f"held by PID {os.getpid()} " in copy.stderr.decode()
        say(f"{what}:", copy.returncode, "named" if named else copy.stderr)
    say("held by PID", os.getpid())
    sys.stdin.readline()
    own.release()
    say("released")
    sys.stdin.readline()
    say("taken again:", own.acquire())
    sys.stdin.read()


def old(*files):
    for file in files:
        with open(file) as opened:
            record = json.load(opened)
        assert type(record["pid"]) is int, record
        assert type(record["name"]) is str, record
        assert record["account"] is None or type(record["account"]) is str, record
        assert type(record["host"]) is str, record
        age = datetime.now().timestamp() - datetime.fromisoformat(record["timestamp"]).timestamp()
        assert -5 < age < 120, record
        say(record["name"], record["pid"], record["account"])


def serve():
    for line in sys.stdin:
        folder, name, account = json.loads(line)
        process_lock.LOCK_DIR = Path(folder)
        try:
            with ProcessLock(name, account):
                try:
                    with ProcessLock(name.lower(), account):
                        answer = "taken twice"
                except LockHeldError:
                    answer = "taken once"
        except LockHeldError as refusal:
            answer = f"refused: {refusal}"
        say("served:", answer.replace("\n", " "))


def main(words):
    if words[0] != "serve":
        lifetime = threading.Timer(120, os._exit, [99])
        lifetime.daemon = True
        lifetime.start()
    if words[0] == "go":
        say("ready")
        sys.stdin.readline()
        words = words[1:]
    {"lock": lock, "token": token, "old": old, "serve": serve}[words[0]](*words[1:])


main(sys.argv[1:])
