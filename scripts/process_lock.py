"""Single-instance locks for the fleet's scripts: the drop-in for the old process_lock.py.

    from process_lock import ProcessLock

    with ProcessLock("BRAIN_ATLAS", account=1234567):
        trade()

A lock is held exactly as long as an operating-system file lock is held by a living process, so a
crash leaves nothing to clean up and a duplicate is refused even after a user has deleted every
`.lock` file. Speaks the same protocol as qc-lock and qc-launch (LOCK_PROTOCOL.md of the suite).

One file, standard library only, Python 3.8 or later, Linux and Windows.
"""

from __future__ import annotations

import argparse
import atexit
import errno
import hashlib
import importlib
import itertools
import json
import operator
import os
import re
import signal
import socket
import stat
import struct
import sys
import threading
import time
import unicodedata
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, ItemsView, KeysView, List, Optional, Sequence, ValuesView

__all__ = [
    "LOCK_DIR", "LockError", "LockHeldError", "LockLatchedError", "LockNameError", "ProcessLock",
    "clear_all_locks", "clear_stale_locks", "list_active_locks",
]

RECORD_LIMIT = 64 * 1024
HISTORY_LIMIT = 4 * 1024 * 1024
SETTLE = 0.25  # how long a record may take to appear after its guard was locked
LATE_RELEASE = 2.0  # how long Windows may take to free the lock of a process that has ended
LONG_WAIT = 0.5  # from then on it is said what is waited for
PAUSE, LONGEST_PAUSE = 0.005, 0.05  # between two looks: doubled each time
_MOST_LOOKS = 5  # at the objects that name the holder of a guard of the machine
LEFTOVER = 60.0  # from this age a temporary file is abandoned
CLOCK_SLACK = 5.0  # a start is read to the second, and the clock may have been set a little since
LONGEST_FOLDER = 150  # with what is in it, Windows still takes the path as it is
TOKEN_VARIABLE = "QC_LOCK_TOKEN"
SHARE_HINT = "let all who share the locks write there, or run this as the user who may"
SHUTDOWN = "SAFE_SHUTDOWN.bat (qc-shutdown)" if os.name == "nt" else "qc-shutdown"
SHUTDOWN_HINT = f"Run {SHUTDOWN} to stop all processes safely."


class LockError(RuntimeError):
    """A lock could not be taken, released or looked at."""

    def __str__(self) -> str:
        return "\n".join(map(_visible, super().__str__().split("\n")))


class LockNameError(LockError, ValueError):
    """A text is no lock name or no account."""


class LockHeldError(LockError):
    """Another process holds the lock. The text names it, and the next step."""

    told = ()  # what the history says of it
    reason = ""
    look_closer = None  # where nothing says who holds it: makes the refusal that names who has it open


class LockLatchedError(LockHeldError):
    """Every start is forbidden. A refusal like that of a lock that is held."""


def _default_lock_dir():
    for variable, below in (("QC_LOCK_DIR", ""), ("QC_ROOT", ".locks")):
        if os.environ.get(variable):
            return Path(_absolute(os.path.join(os.environ[variable], below)))
    root = _fleet()
    if root is None:
        place = Path((_script() if _is_program() else None) or _absolute(__file__))
        root = next((folder for folder in place.parents if folder.is_dir()), place.parent)  # none in a zip
    return root.resolve() / ".locks"


def _fleet():
    """The folder with MASTER_CONFIG.json; None if there is none."""
    above = (folder for start in _starting_folders() for folder in (start, *start.parents))
    return next((folder for folder in above if os.path.lexists(folder / "MASTER_CONFIG.json")), None)


def _say_where(folder):
    """Says once where the locks are, if nothing has said so and no fleet is there."""
    global _is_where_said
    if not _is_where_said:
        _is_where_said = True
        is_chosen = LOCK_DIR is not _FIRST_LOCK_DIR or os.environ.get("QC_LOCK_DIR") or os.environ.get("QC_ROOT")
        if not is_chosen and _fleet() is None:
            _say(_visible(
                f"process_lock: no MASTER_CONFIG.json was found, so the locks are in {_plain_path(folder)}; "
                "name the folder that all scripts share with QC_LOCK_DIR"))


def _starting_folders():
    """The folders from which the fleet's folder is looked for, upward: where the script is, or the program
    that it was made to; where this module is, or the link to it; the current one; where a link leads."""
    module = Path(_absolute(__file__))
    script = _script()
    folders = [] if script is None else [Path(script).parent]
    if not _is_program():
        folders.append(module.parent)
    try:
        folders.append(Path.cwd())
    except OSError:
        pass  # it was deleted
    return [*folders, module.resolve().parent]


def _is_program():
    """Whether the script was made to a program (PyInstaller, Nuitka)."""
    return getattr(sys, "frozen", False) or "__compiled__" in globals()


def _script():
    """The path of the main script or of the program; None where there is none (a console, a notebook)."""
    if getattr(sys, "frozen", False):
        return _absolute(sys.executable)  # a one-file program unpacks its modules elsewhere with each run
    argv = getattr(sys, "argv", None)
    # While `python -m` looks for its module, that is not known yet.
    if not argv or not argv[0] or argv[0] in ("-c", "-m"):
        return None
    main = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    # The program may have gone to another folder since it was started.
    is_same = os.path.isabs(main) and os.path.basename(main) == os.path.basename(argv[0])
    return main if is_same else _absolute(argv[0])


def _absolute(path):
    try:
        return os.path.abspath(path)
    except OSError:
        return path  # the current folder was deleted


#: The folder of the locks. Read whenever it is used, so it can be set after the import.
LOCK_DIR: Path = _default_lock_dir()
_FIRST_LOCK_DIR = LOCK_DIR
_is_where_said = globals().get("_is_where_said", False)


def _lock_folder():
    """The folder of the locks, as the system takes it."""
    global LOCK_DIR
    if not os.path.isabs(LOCK_DIR):
        LOCK_DIR = Path(os.path.abspath(LOCK_DIR))  # wherever the program goes from here
    text = os.path.abspath(LOCK_DIR)
    # Unless it is set up otherwise, Windows takes no path of 260 characters, but in this form.
    if os.name == "nt" and len(text) > LONGEST_FOLDER and not text.startswith("\\\\?\\"):
        text = "\\\\?\\UNC" + text[1:] if text.startswith("\\\\") else "\\\\?\\" + text
    return Path(text)


# --- Texts ---------------------------------------------------------------------------------------

_HALF = re.compile("[\ud800-\udfff]")  # what Python makes of bytes that are not UTF-8
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _visible(text):
    """A text from a file with everything that would end the line or steer the terminal as an escape."""
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return _STEERING.sub(lambda found: short.get(found[0], f"\\u{{{ord(found[0]):x}}}"), _clean(text))


def _json(value, indent=None):
    """JSON in which nothing steers a terminal, for files that people print. Python escapes all but DEL."""
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


def _clean(text):
    """A text that can be written as UTF-8."""
    return _HALF.sub("\ufffd", text)


def _say(text):
    """Says something on standard error, if that is there to hear it."""
    try:
        if sys.stderr is not None:
            try:
                print(text, file=sys.stderr, flush=True)
            except UnicodeEncodeError:
                print(str(text).encode("ascii", "backslashreplace").decode(), file=sys.stderr, flush=True)
    except Exception:
        pass  # closed, a pipe without a reader, or an object of the program's that fails


# --- What the operating system knows -------------------------------------------------------------

class _Gone(Exception):
    """There is no such process, or it has ended."""


class _Hidden(Exception):
    """The process exists, but we are not allowed to see it."""


def _add(numbers, function, *arguments):
    """Adds the result of `function` to a list. The interpreter does both in one step: a Ctrl-C comes
    before it or after it, so that no open descriptor or handle is ever lost."""
    numbers.extend(map(function, *([one] for one in arguments)))


def _close_last(close, numbers):
    """Removes the last number of a list and closes it, likewise in one step."""
    next(map(close, map(list.pop, [numbers])))


def _lift(fds):
    """Moves the last descriptor above 2. Where standard input, output or error is closed, it would get
    their number, and whatever writes there or opens them again would hit a lock's file."""
    while fds[-1] <= 2:
        _add(fds, os.dup, fds[-1])
    while len(fds) > 1 and fds[-2] <= 2:
        next(map(os.close, map(list.pop, [fds], [-2])))


def _opened(path, flags, mode=0o666):
    """Opens a file above the standard descriptors."""
    fds = []
    try:
        _add(fds, os.open, path, flags, mode)
        _lift(fds)
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return fds[0]


if os.name == "nt":
    import ctypes
    import msvcrt
    import winreg
    from ctypes import wintypes

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)

    def _declare(library, name, result, *arguments):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
        return function

    _H, _D, _B = wintypes.HANDLE, wintypes.DWORD, wintypes.BOOL
    _FILETIMES = [ctypes.POINTER(wintypes.FILETIME)] * 4
    _open_process = _declare(_kernel32, "OpenProcess", _H, _D, _B, _D)
    _close_handle = _declare(_kernel32, "CloseHandle", _B, _H)
    _get_process_id = _declare(_kernel32, "GetProcessId", _D, _H)
    _wait = _declare(_kernel32, "WaitForSingleObject", _D, _H, _D)
    _process_times = _declare(_kernel32, "GetProcessTimes", _B, _H, *_FILETIMES)
    _image_name = _declare(
        _kernel32, "QueryFullProcessImageNameW", _B, _H, _D, wintypes.LPWSTR, ctypes.POINTER(_D))
    _read_memory = _declare(
        _kernel32, "ReadProcessMemory", _B, _H, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    _query_process = _declare(
        ctypes.WinDLL("ntdll"), "NtQueryInformationProcess", ctypes.c_long,
        _H, ctypes.c_int, ctypes.c_void_p, _D, ctypes.c_void_p)
    _create_file = _declare(
        _kernel32, "CreateFileW", _H, wintypes.LPCWSTR, _D, _D, ctypes.c_void_p, _D, _D, _H)
    _get_user_name = _declare(_advapi32, "GetUserNameW", _B, wintypes.LPWSTR, ctypes.POINTER(_D))

    _GENERIC_READ, _GENERIC_READ_WRITE, _APPEND_DATA = 0x80000000, 0xC0000000, 0x4
    _SHARE_READ_WRITE, _SHARE_DELETE = 0x3, 0x4
    _OPEN_EXISTING, _OPEN_ALWAYS, _OPEN_REPARSE_POINT = 3, 4, 0x00200000
    _INVALID_HANDLE = ctypes.c_void_p(-1).value

    def _with_process(pid, use):
        """Calls `use` with an open handle of the process that has `pid` and has not ended."""
        handle = _open_process(0x1000 | 0x100000, False, pid)  # QUERY_LIMITED_INFORMATION | SYNCHRONIZE
        if not handle:
            raise _Gone() if ctypes.get_last_error() == 87 else _Hidden()
        try:
            # The two lowest bits of a pid are not looked at, so 5 opens process 4. A process that
            # has ended can be opened while another process holds a handle to it.
            if _get_process_id(handle) != pid or _wait(handle, 0) == 0:
                raise _Gone()
            return use(handle)
        finally:
            _close_handle(handle)

    def _created(handle):
        times = [wintypes.FILETIME() for _ in range(4)]
        if not _process_times(handle, *(ctypes.byref(one) for one in times)):
            raise _Hidden()
        return times[0].dwHighDateTime << 32 | times[0].dwLowDateTime

    def _start_time(pid):
        """When the process was created, in 100 ns since 1601."""
        return _with_process(pid, _created)

    def _describe(pid):
        """The process's program, the file names among its arguments, and its start."""
        def look(handle):
            size = _D(32768)
            buffer = ctypes.create_unicode_buffer(size.value)
            if not _image_name(handle, 0, buffer, ctypes.byref(size)):
                raise _Hidden()
            since = _created(handle) / 10_000_000 - 11_644_473_600
            words = re.findall(r'"([^"]*)"|(\S+)', _command_line(pid))
            return buffer.value, [_file_name(quoted or plain) for quoted, plain in words], since
        return _with_process(pid, look)

    def _command_line(pid):
        """The command line of a 64-bit process, as it stands in its memory; empty if it can't be
        read: then the times decide alone."""
        if ctypes.sizeof(ctypes.c_void_p) != 8:
            return ""
        handle = _open_process(0x1010, False, pid)  # QUERY_LIMITED_INFORMATION | VM_READ
        if not handle:
            return ""

        def read(address, data):
            if not _read_memory(handle, address, ctypes.byref(data), ctypes.sizeof(data), None):
                raise OSError()
            return data

        try:
            basic = (ctypes.c_uint64 * 6)()
            _query_process(handle, 0, ctypes.byref(basic), ctypes.sizeof(basic), None)
            parameters = read(basic[1] + 0x20, ctypes.c_uint64()).value
            length = read(parameters + 0x70, ctypes.c_uint16()).value
            text = read(parameters + 0x78, ctypes.c_uint64()).value
            return bytes(read(text, (ctypes.c_char * length)())).decode("utf-16-le", "replace")
        except OSError:
            return ""
        finally:
            _close_handle(handle)

    def _boot_id():
        try:
            path, access = r"SOFTWARE\Microsoft\Cryptography", winreg.KEY_READ | winreg.KEY_WOW64_64KEY
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path, 0, access) as key:
                return "machine-" + winreg.QueryValueEx(key, "MachineGuid")[0]
        except OSError:
            return "machine-unknown"

    def _pid_namespace():
        return None

    def _user():
        size = _D(257)
        buffer = ctypes.create_unicode_buffer(size.value)
        return buffer.value if _get_user_name(buffer, ctypes.byref(size)) else "unknown"

    def _open_shared(path, access, share, how=_OPEN_ALWAYS):
        handles, fds = [], []
        try:
            _add(handles, _create_file, str(path), access, share, None, how, _OPEN_REPARSE_POINT, None)
            if handles[0] in (None, _INVALID_HANDLE):
                handles.clear()
                raise ctypes.WinError(ctypes.get_last_error())
            _add(fds, msvcrt.open_osfhandle, handles[0], os.O_NOINHERIT)
            _lift(fds)
            _check_regular(fds[0], path)
            return fds[0]
        except BaseException:
            # A descriptor owns its handle.
            for fd in fds:
                os.close(fd)
            for handle in [] if fds else handles:
                _close_handle(handle)
            raise

    def _open_guard(path, fds):
        # Without delete sharing, so that the path can't come to mean another file.
        fds.append(_open_shared(path, _GENERIC_READ_WRITE, _SHARE_READ_WRITE))

    def _open_for_append(path):
        # Only with this right alone is each write appended in one step.
        return _open_shared(path, _APPEND_DATA | 0x100080, _SHARE_READ_WRITE | _SHARE_DELETE)

    def _open_for_reading(path):
        # With delete sharing, so that its holder can write it again or remove it meanwhile.
        return _open_shared(path, _GENERIC_READ, _SHARE_READ_WRITE | _SHARE_DELETE, _OPEN_EXISTING)

    class _Overlapped(ctypes.Structure):
        _fields_ = [("internal", ctypes.c_size_t * 2), ("offset", _D * 2), ("event", _H)]

    _lock_file = _declare(_kernel32, "LockFileEx", _B, _H, _D, _D, _D, _D, ctypes.POINTER(_Overlapped))

    def _try_lock(fd):
        # The same byte that msvcrt.locking would lock, but with an error code that can be trusted.
        exclusive_and_at_once = 0x2 | 0x1
        nowhere = _Overlapped()
        if _lock_file(msvcrt.get_osfhandle(fd), exclusive_and_at_once, 0, 1, 0, ctypes.byref(nowhere)):
            return True
        code = ctypes.get_last_error()
        if code in (33, 997):  # ERROR_LOCK_VIOLATION, ERROR_IO_PENDING
            return False
        raise ctypes.WinError(code)

    class _SecurityAttributes(ctypes.Structure):
        _fields_ = [("length", _D), ("descriptor", ctypes.c_void_p), ("inherit", _B)]

    class _UnicodeString(ctypes.Structure):
        _fields_ = [("length", ctypes.c_uint16), ("size", ctypes.c_uint16), ("text", ctypes.c_void_p)]

    class _ObjectAttributes(ctypes.Structure):
        _fields_ = [("length", _D), ("root", _H), ("name", ctypes.POINTER(_UnicodeString)), ("flags", _D),
                    ("security", ctypes.c_void_p * 2)]

    _ntdll = ctypes.WinDLL("ntdll")
    _create_event = _declare(_kernel32, "CreateEventW", _H, ctypes.c_void_p, _B, _B, wintypes.LPCWSTR)
    _read_sddl = _declare(
        _advapi32, "ConvertStringSecurityDescriptorToSecurityDescriptorW", _B,
        wintypes.LPCWSTR, _D, ctypes.c_void_p, ctypes.c_void_p)
    _open_directory = _declare(
        _ntdll, "NtOpenDirectoryObject", ctypes.c_long, ctypes.c_void_p, _D, ctypes.POINTER(_ObjectAttributes))
    _query_directory = _declare(
        _ntdll, "NtQueryDirectoryObject", ctypes.c_long, _H, ctypes.c_void_p, _D, ctypes.c_ubyte, ctypes.c_ubyte,
        ctypes.POINTER(_D), ctypes.c_void_p)

    # An empty list of rights: no other program can open the event and so keep it alive.
    _FOR_NOBODY = _SecurityAttributes(ctypes.sizeof(_SecurityAttributes), None, False)
    _read_sddl("D:", 1, ctypes.byref(_FOR_NOBODY, _SecurityAttributes.descriptor.offset), None)
    _MARK = "."  # between the parts of a name
    _NO_LEG = "no event can be made in Global\\ here"
    _FIND_HOLDER = "Process Explorer (Find Handle: qc2)"
    _NAME_SIZE = 240  # in UTF-16 units
    _close_leg = _close_handle

    def _event(name, handles):
        """Creates an event; returns 0 or the error. An event that was there is closed again."""
        ctypes.set_last_error(0)
        _add(handles, _create_event, ctypes.byref(_FOR_NOBODY), True, False, "Global\\" + name)
        code = ctypes.get_last_error()
        if not handles[-1] or code == 183:
            _close_last(_close_leg, handles)
        return code

    def _make_event(guard, handles):
        """The first leg of a machine guard: an event, which exists for as long as it is open."""
        code = _event(f"qc2.{guard}", handles)
        if code == 5:
            # Either another user holds it, or this program may create nothing there at all.
            probe = []
            is_held = _event(f"qc2.probe.{os.getpid()}.{os.urandom(8).hex()}", probe) == 0
            while probe:
                _close_last(_close_leg, probe)
            return False if is_held else None
        if code in (183, 6):  # ERROR_ALREADY_EXISTS, ERROR_INVALID_HANDLE (not an event)
            return False
        if code:
            raise ctypes.WinError(code)
        return True

    def _lock_unix_file(guard, handles):
        """The second leg under Wine: it excludes other Wine prefixes and Linux programs."""
        if not hasattr(_ntdll, "wine_get_version"):
            return None
        path = f"\\\\?\\unix\\dev\\shm\\qc2.{guard}"
        share = _SHARE_READ_WRITE | _SHARE_DELETE
        _add(handles, _create_file, path, _GENERIC_READ_WRITE, share, None, _OPEN_ALWAYS, 0, None)
        if handles[-1] in (None, _INVALID_HANDLE):
            handles.pop()
            return None
        if _lock_file(handles[-1], 0x2 | 0x1, 0, 1, 0, ctypes.byref(_Overlapped())):
            return True
        return False if ctypes.get_last_error() in (33, 997) else None

    _LEGS = (_make_event, _lock_unix_file)

    def _announce(start, text, handles):
        """Creates an event whose name is the message; a text that is too long loses its beginning."""
        room = _NAME_SIZE - len(start)
        units = text.encode("utf-16-le", "surrogatepass")[-2 * room:]
        _event(start + units.decode("utf-16-le", "ignore"), handles)

    def _announced(start):
        """Returns what follows `start` in the names of the machine's events."""
        found, directory, context = [], _H(), _D()
        name = ctypes.create_unicode_buffer("\\BaseNamedObjects")
        size = ctypes.sizeof(name)
        string = _UnicodeString(size - 2, size, ctypes.addressof(name))
        attributes = _ObjectAttributes(ctypes.sizeof(_ObjectAttributes), None, ctypes.pointer(string), 0)
        if _open_directory(ctypes.byref(directory), 1, ctypes.byref(attributes)) != 0:  # DIRECTORY_QUERY
            return found
        try:
            buffer = ctypes.create_string_buffer(1 << 17)
            while _query_directory(directory, buffer, len(buffer), True, context.value == 0, context, None) in (0, 0x105):
                entry = _UnicodeString.from_buffer(buffer)
                text = ctypes.wstring_at(entry.text, entry.length // 2)
                if text.startswith(start):
                    found.append(text[len(start):])
        finally:
            _close_handle(directory)
        return found

    def _is_current(_fd, _path):
        return True

    def _let_share(_fd, _path):
        """A new file inherits its access rights from its folder."""

    def _kept_by_name():
        """Nothing is kept where no program is replaced by another."""
        return set()

    def _is_inherited(_path):
        """No lock is inherited."""
        return False

    def _guards_from_wrapper(_paths):
        return []

    def _ancestors():
        return [os.getppid()]

    def _lock_when_free(_fd):
        raise NotImplementedError("on Windows a wrapper ends with what has claimed its lock")

    def _open_in(_path):
        """The system does not show who has a file open."""
        return []

    def _machine_guard_open_in(_guard):
        return []

    def _guard_id(_fd):
        return None

    def _let_share_folder(_path):
        """The same for a folder."""

    def _other_owner(_path):
        return None

else:
    import fcntl
    import pwd

    def _start_time(pid):
        """When the process was created, in clock ticks since boot."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                text = file.read()
        except (FileNotFoundError, ProcessLookupError):
            raise _Hidden() if _exists(pid) else _Gone()
        except OSError:
            raise _Hidden()
        # The second field is the program's name in parentheses and may hold anything.
        fields = text[text.rindex(b")") + 1:].split()
        # A zombie has ended, except where only the first of several threads has.
        if fields[0] in (b"Z", b"X") and int(fields[17]) <= 1:
            raise _Gone()
        return int(fields[19])

    def _exists(pid):
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            return True
        return True

    def _describe(pid):
        """The process's program, None where that can't be read; the file names among its arguments; its
        start. The name that `/proc` gives it is no program: it can give itself any."""
        ticks = _start_time(pid)
        try:
            program = os.readlink(f"/proc/{pid}/exe")
        except OSError:
            program = None
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode("utf-8", "replace").split("\0")
            with open("/proc/stat", encoding="ascii") as file:
                boot = next(int(line.split()[1]) for line in file if line.startswith("btime "))
        except FileNotFoundError:
            raise _Gone()
        except OSError:
            raise _Hidden()
        since = boot + ticks / os.sysconf("SC_CLK_TCK")
        return program, [_file_name(word) for word in words], since

    def _boot_id():
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return "unknown"

    def _pid_namespace():
        try:
            return os.stat("/proc/self/ns/pid").st_ino
        except OSError:
            return None

    def _user():
        return _name_of_user(os.getuid())

    def _name_of_user(uid):
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def _other_owner(path):
        """To whom a file belongs, if not to this process's user."""
        owner = os.lstat(path).st_uid
        return None if owner == os.geteuid() else _name_of_user(owner)

    def _let_share(fd, path):
        """Lets those who may write to the folder of a file that was just made there use it, whatever
        the umask: otherwise the first of them would lock out the others. In a folder where each keeps
        his own, such as /tmp, nothing is changed."""
        try:
            folder = os.stat(os.path.dirname(path) or ".").st_mode
            writers = folder & 0o022
            if not writers or folder & stat.S_ISVTX:
                return
            made = os.fstat(fd).st_mode
            mode = made | writers | writers << 1 | (writers >> 1 if stat.S_ISDIR(made) else 0)
            if mode != made:
                os.fchmod(fd, stat.S_IMODE(mode))
        except OSError:
            pass  # not every disk knows modes; what is denied to the others then is said to them

    def _let_share_folder(path):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return  # as above
        try:
            _let_share(fd, path)
        finally:
            os.close(fd)

    def _open_to_the_folders_writers(fd, path):
        """Opens a guard to those who may write to its folder, and to no other user: a process that can open it can
        lock it. Only its owner can, and does so with old ones, too."""
        try:
            folder, guard = os.stat(os.path.dirname(path)), os.fstat(fd)
            # A hard link may be another file, which was given this name to have it opened.
            if os.geteuid() not in (0, guard.st_uid) or guard.st_nlink > 1:
                return
            others = folder.st_mode & 0o022
            wanted = 0o600 | others | others << 1
            owner = folder.st_uid if os.geteuid() == 0 and folder.st_uid != guard.st_uid else -1
            group = folder.st_gid if others & 0o020 and folder.st_gid != guard.st_gid else -1
            try:
                if owner != -1 or group != -1:
                    os.fchown(fd, owner, group)
            except OSError:
                pass  # not everybody is in the folder's group
            if stat.S_IMODE(guard.st_mode) != wanted:
                os.fchmod(fd, wanted)
        except OSError:
            pass  # not every disk knows modes

    def _guard_id(fd):
        """Which file a guard is, while it is open."""
        found = os.fstat(fd)
        return f"{found.st_dev}:{found.st_ino}"

    def _ancestors():
        """The living processes that this one descends from."""
        pids = [os.getppid()]
        while pids[-1] > 1:
            try:
                with open(f"/proc/{pids[-1]}/stat", "rb") as file:
                    pids.append(int(file.read().rpartition(b")")[2].split()[1]))
            except (OSError, ValueError, IndexError):
                break
        return pids

    def _lock_when_free(fd):
        fcntl.flock(fd, fcntl.LOCK_EX)

    def _is_inherited(path):
        """Whether this process has the guard open already."""
        return any(_leads_to(fd, path) for fd in _descriptors())

    def _descriptors():
        try:
            return [int(fd) for fd in os.listdir("/proc/self/fd")]
        except OSError:
            return []

    def _leads_to(fd, place):
        """Whether a descriptor is open on a file, or, where `place` is bytes, is the socket of that name."""
        try:
            if isinstance(place, bytes):
                return _socket_name(fd) == place
            return os.path.samestat(os.fstat(fd), os.lstat(place))
        except OSError:
            return False  # one that the listing itself had open, or a path that is not there

    def _socket_name(fd):
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return None
        with socket.socket(fileno=os.dup(fd)) as one:
            name = one.getsockname()
        return name if isinstance(name, bytes) else None

    def _is_socket_of(fd, guard):
        """Whether a descriptor is one of the sockets that say who holds a guard of the machine."""
        try:
            return (_socket_name(fd) or b"").startswith(b"\0qc2/" + guard.encode() + b"/")
        except OSError:
            return False

    def _came_through_exec():
        """The descriptors that this program has from the one before it. It opens none like them itself."""
        return [fd for fd in _descriptors() if _is_inheritable(fd) or (fd in _from_wrapper and _from_wrapper[fd] == _open_file(fd))]

    def _kept_by_name():
        """The guards of the machine that this very process has kept from the program that it has replaced,
        by what their sockets say of it: also where all records were deleted."""
        lead, own = b"\0qc2/", f"/by/{os.getpid()}.{_own_start()}.".encode()
        guards = set()
        for fd in _came_through_exec():
            try:
                name = _socket_name(fd) or b""
            except OSError:
                continue
            if name.startswith(lead) and own in name:
                guards.add(name[len(lead):name.index(own)].decode())
        return {place for guard in guards for place in (_shared_path(guard), _socket_of(guard))}

    def _is_inheritable(fd):
        try:
            return os.get_inheritable(fd)
        except OSError:
            return False  # the listing's own

    def _take_over(place, fds):
        """Takes a guard from the program that this one has replaced (`os.execv`)."""
        for fd in _came_through_exec():
            if _leads_to(fd, place):
                fds.append(fd)
                os.set_inheritable(fd, False)
                _from_wrapper.pop(fd, None)
                return True
        return False

    def _guards_from_wrapper(paths):
        """The descriptors of a wrapper's guards, of the folder and of the machine."""
        places = [*paths, *(_shared_path(path.name) for path in paths), *(_socket_of(path.name) for path in paths)]
        return [
            fd for fd in _came_through_exec()
            if any(_leads_to(fd, place) for place in places) or any(_is_socket_of(fd, path.name) for path in paths)]

    def _machine_guard_open_in(guard):
        """The same for a guard of the machine."""
        try:
            with open("/proc/net/unix", "rb") as file:
                lines = [line.split() for line in file]
        except OSError:
            lines = []
        name = b"@" + _socket_of(guard)[1:]
        sockets = [f"socket:[{line[6].decode()}]" for line in lines if len(line) > 7 and line[7] == name]
        return _open_in(Path(_shared_path(guard)), sockets)

    def _open_in(path, sockets=()):
        """The processes that have a guard open, as far as the system shows: it may be inherited from
        one that has ended."""
        found = []
        for pid in sorted(int(pid) for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()):
            try:
                # Only what is called so is looked at: any other may lie on a disk that does not answer.
                fds = [f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")]
                links = [(fd, os.readlink(fd)) for fd in fds]
                if any(to in sockets or (to.endswith("/" + path.name) and os.path.samefile(fd, path)) for fd, to in links):
                    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                        found.append(f"PID {pid} ({_visible(file.read().strip())})")
            except OSError:
                pass  # it has ended, or is another user's
        return found

    # Never through a symbolic link, and never waiting for the other end of a FIFO.
    _SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

    def _open_or_create(path, fds, mode):
        """Opens a file to lock it, or creates it; returns whether it was created."""
        if str(path) in _kept and _take_over(path, fds):
            return False
        is_new = _open_as_may_be(path, fds, mode)
        _lift(fds)
        return is_new

    def _open_as_may_be(path, fds, mode):
        while True:
            try:
                _add(fds, os.open, path, os.O_RDWR | _SAFE)
                return False
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise
                # Another user's file, or one on a disk that has become read-only, can be locked
                # without being writable.
                _add(fds, os.open, path, os.O_RDONLY | _SAFE)
                return False
            try:
                _add(fds, os.open, path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFE, mode)
                return True
            except FileExistsError:
                pass  # made by another process meanwhile

    def _open_guard(path, fds):
        _open_or_create(path, fds, 0o600)
        _check_regular(fds[-1], path)
        _open_to_the_folders_writers(fds[-1], path)

    def _open_for_append(path):
        return _regular(_opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _SAFE), path)

    def _open_for_reading(path):
        return _regular(os.open(path, os.O_RDONLY | _SAFE), path)

    def _try_lock(fd):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False

    def _is_current(fd, path):
        try:
            return os.path.samestat(os.fstat(fd), os.lstat(path))
        except FileNotFoundError:
            return False

    _MARK = "/"  # between the parts of a name
    _NO_LEG = "neither a socket nor /dev/shm can be used here"
    _FIND_HOLDER = "ss -xap | grep qc2, lslocks"
    _close_leg = os.close
    _NAME_SIZE = 107  # in bytes: `sun_path` without the leading NUL
    _NO_SOCKET = (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EPERM, errno.EACCES)
    _NO_FILE = (
        errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT,
        errno.ELOOP, errno.EISDIR, errno.ENXIO)
    _OFD_SETLK = 37  # F_OFD_SETLK, which `fcntl` has since Python 3.9

    def _bind(address, fds):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
            bound.bind(b"\0" + address)
            _add(fds, socket.SocketType.detach, bound)
        _lift(fds)

    def _socket_of(guard):
        return f"\0qc2/{guard}".encode()

    def _shared_path(guard):
        return f"/dev/shm/qc2.{guard}"

    def _bind_guard(guard, fds):
        """The first leg of a machine guard: a socket that only has a name. Nothing can delete it."""
        name = _socket_of(guard)
        if name in _kept and _take_over(name, fds):
            for fd in _came_through_exec():
                if _is_socket_of(fd, guard):
                    os.close(fd)  # made anew with the record
            return True
        try:
            _bind(name[1:], fds)
            return True
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            if error.errno in _NO_SOCKET:
                return None
            raise

    def _lock_shared_file(guard, fds):
        """The second leg: a locked file. Programs in another network namespace see it, too."""
        path = _shared_path(guard)
        while True:
            try:
                if _open_or_create(path, fds, 0o666):
                    os.fchmod(fds[-1], 0o666)  # whatever the umask
                elif not stat.S_ISREG(os.fstat(fds[-1]).st_mode):
                    return None
            except OSError as error:
                if error.errno in _NO_FILE:
                    return None
                raise
            if not _try_lock(fds[-1]) or not _try_byte_lock(fds[-1]):
                return False
            if _is_current(fds[-1], path):
                return True
            _close_last(os.close, fds)  # deleted between opening and locking it

    def _try_byte_lock(fd):
        """The lock that programs under Wine see. Without the right to write, it can only be shared."""
        is_writable = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
        kind = fcntl.F_WRLCK if is_writable else fcntl.F_RDLCK
        try:
            fcntl.fcntl(fd, _OFD_SETLK, struct.pack("hhqqi0q", kind, os.SEEK_SET, 0, 1, 0))
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
        return True

    _LEGS = (_bind_guard, _lock_shared_file)

    def _announce(start, text, fds):
        """Binds a socket whose name is the message; a text that is too long loses its beginning."""
        start, text = os.fsencode(start), os.fsencode(text)
        room = _NAME_SIZE - len(start)
        if len(text) > room:
            text = re.sub(b"^[\x80-\xbf]{1,3}", b"", text[-room:])  # no part of a character
        try:
            _bind(start + text, fds)
        except OSError:
            pass  # the name helps, and decides nothing

    def _announced(start):
        """Returns what follows `start` in the names of the machine's sockets."""
        try:
            with open("/proc/net/unix", "rb") as file:
                lines = file.read().split(b"\n")
        except OSError:
            return []
        found = (line.partition(b" @" + start.encode()) for line in lines)
        return [text.decode("utf-8", "surrogateescape") for _, mark, text in found if mark]


def _open_file(fd):
    """The file behind a descriptor: its device and inode, which a socket has as well."""
    try:
        found = os.fstat(fd)
        return found.st_dev, found.st_ino
    except OSError:
        return None  # it is closed


def _file_name(path):
    return re.split(r"[/\\]", path)[-1]


def _regular(fd, path):
    """Returns `fd`, or closes it and fails if `path` is a link, a folder or anything else."""
    try:
        _check_regular(fd, path)
        return fd
    except BaseException:
        os.close(fd)
        raise


def _check_regular(fd, path):
    if not stat.S_ISREG(os.fstat(fd).st_mode) or _is_link(os.lstat(path)):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def _is_link(found):
    """Whether it is a symbolic link, or a junction of Windows."""
    return stat.S_ISLNK(found.st_mode) or bool(getattr(found, "st_reparse_tag", 0) & 0x20000000)


def _why(error, path):
    """A plain reason for a failed operation on a file: "Too many levels of symbolic links" is a
    link, "No such device or address" a FIFO, and whoever is denied learns by whom."""
    text = error.strerror or str(error)
    try:
        found = os.lstat(path)
        if _is_link(found):
            return "it is a symbolic link"
        is_odd = not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode)
        if is_odd and not isinstance(error, NotADirectoryError):
            return "it is not a regular file"
    except OSError:
        pass  # it is not there, or can't be seen
    if isinstance(error, PermissionError):
        for one in (path, *path.parents):
            try:
                owner = _other_owner(one)
            except OSError:
                continue
            return f"{text}; {one} belongs to user '{owner}'" if owner else text
    return text


def _retried(operation, *arguments):
    """Calls a file operation that a virus scanner's or a reader's open file may block for a moment."""
    # Replacing and removing wait longer: many may look at a record at once. That access is denied
    # (5) when opening is mostly final, but a file that is being deleted looks like this, too.
    changes = operation in (os.replace, os.unlink)
    tries = dict.fromkeys((5, 32, 33, 303), 300) if changes else {5: 40, 32: 200, 33: 200, 303: 200}
    for tried in itertools.count(1):
        try:
            return operation(*arguments)
        except OSError as error:
            if tried >= tries.get(getattr(error, "winerror", None), 0):
                raise
            time.sleep(0.01)


# --- Names and resources ---------------------------------------------------------------------------

def _check_name(name):
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise LockNameError(
            f"{name!r} is no lock name; use 1 to 64 letters, digits, `.`, `_` and `-`")
    device = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name.lower())
    if device or name.startswith(".") or name.endswith("."):
        raise LockNameError(
            f"{name!r} is no lock name; it must be no Windows device and neither start nor end with a dot")
    return str.__str__(name)  # of an enumeration, the value


_INVISIBLE = re.compile(
    "[\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e0fff]")
# The zeros of all decimal digits of Unicode 17. The database of Python differs between its versions.
_ZEROS = (
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6,
    0xd66, 0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80,
    0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
    0xff10, 0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11de0, 0x11f50,
    0x16a60, 0x16ac0, 0x16b50, 0x1ccf0, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0,
    0x1e5f1, 0x1e950, 0x1fbf0,
)
_TO_ASCII = {
    **{0xff01 + n: chr(0x21 + n) for n in range(0x5e)},  # full-width forms
    **{zero + n: str(n) for zero in _ZEROS for n in range(10)},
}
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_SEPARATED = re.compile(f"[0-9][0-9,_{_SPACE}]*(?:[.][0-9]*)?")
_EXPONENT = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]+")
# A number with a sign, a quote or the like before or behind it: ASCII without a letter.
_SYMBOL = re.compile(
    r"(?![0-9](?:[^A-Za-z]*[0-9])?\Z)(?=[^A-Za-z]*[0-9])[\x20-\x40\x5b-\x60\x7b-\x7e]+")
_QUOTES = ("\"\"", "''", "``", "\u201c\u201d", "\u2018\u2019", "\xab\xbb")
_MISSING = ("", "0", "none", "null", "nan", "<na>")


def _check_account(account):
    """The one spelling of an account; None if there is none, which is said unless it is None."""
    if account is None:
        return None
    text = _text_of_account(account)
    spelled = _spelled_account(text)
    if spelled is None:
        _say(f"WARNING: {text!r} is not an account, so no lock on an account is taken")
    return spelled


def _text_of_account(account):
    """The text of an account, which may be a whole number of any kind (numpy's, Decimal, Fraction)."""
    if isinstance(account, str):
        return str.__str__(account)  # of an enumeration, the value
    if type(account).__name__ in ("bool", "bool_") or not (hasattr(account, "__index__") or hasattr(account, "__float__")):
        raise LockNameError(f"{_repr(account)} is not an account; use a number or a text")
    try:
        if hasattr(account, "__index__"):
            return str(int(operator.index(account)))
        whole = int(account)
        is_whole = bool(whole == account)
    except (ArithmeticError, TypeError, ValueError):
        is_whole = False
    if not is_whole:
        raise LockNameError(f"{_repr(account)} is not an account; use a whole number or a text")
    # From there on a float (of 2, 4 or 8 bytes) leaves out numbers: it may have been another one.
    exact = {2: 2**11, 4: 2**24}.get(getattr(account, "itemsize", 8), 2**53)
    if (isinstance(account, float) or hasattr(account, "itemsize")) and abs(whole) >= exact:
        raise LockNameError(f"{account!r} is not an account; a float does not keep all its digits, so use a text")
    return str(whole)


def _repr(value):
    try:
        return repr(value)
    except ValueError:
        return f"a {type(value).__name__} with too many digits"


def _spelled_account(text):
    """The canonical spelling of an account; None if the text stands for a missing one."""
    spelled = _INVISIBLE.sub("", text).translate(_TO_ASCII).strip(_SPACE)
    for begin, end in _QUOTES:  # cmd.exe and copies from scripts leave them in place
        if len(spelled) > 1 and spelled[0] == begin and spelled[-1] == end:
            spelled = spelled[1:-1].strip(_SPACE)
    if re.match(r"\+[0-9]", spelled):
        spelled = spelled[1:]
    spelled, at, broker = (part.strip(_SPACE) for part in spelled.partition("@"))
    number = re.fullmatch(r"([0-9]+)(?:\.([0-9]*))?", spelled)
    if number:
        if number[2] and number[2].strip("0"):
            raise LockNameError(f"{text!r} is not an account; an account number has no fraction")
        spelled = number[1].lstrip("0") or "0"
    elif _SEPARATED.fullmatch(spelled):
        digits = re.sub("[^0-9]", "", spelled.partition(".")[0])
        raise LockNameError(f"{text!r} is not an account; write the number in digits alone, {digits!r}")
    elif _EXPONENT.fullmatch(spelled):
        raise LockNameError(f"{text!r} is not an account; write the number in full, without an exponent")
    elif _SYMBOL.fullmatch(spelled):
        raise LockNameError(f"{text!r} is not an account; a number begins and ends with a digit")
    if spelled.lower() in _MISSING:
        return None
    if at and broker.lower() in _MISSING:
        raise LockNameError(f"{text!r} is not an account; behind `@` stands the broker, as in `123@BROKER`")
    spelled += at + broker
    if len(spelled) > 64 or any(unicodedata.category(c) in ("Cc", "Cs") for c in spelled):
        raise LockNameError(f"{text!r} is not an account; use 1 to 64 printable characters")
    return spelled


def _role(key):
    prefix, separator, _ = key.partition("_")
    return prefix if separator and prefix in ("brain", "watchdog") else key


def _places(key, shared_account=False, paper=False):
    """The places that a lock takes at its account: whatever is not a watchdog trades."""
    if shared_account:
        return [f"{key}@shared"]
    role = _role(key)
    place = role if role == "watchdog" else "brain"
    if paper:
        return [f"{place}@paper"]
    # Versions before places knew all other names by themselves.
    return sorted({place, role})


def _account_use(shared_account, paper):
    for value in (shared_account, paper):
        if not isinstance(value, bool):
            raise LockNameError(f"{value!r} is neither True nor False; `shared_account` and `paper` are one of these")
    if shared_account and paper:
        raise LockNameError("a reader does not trade on paper; leave out `paper`")
    return {"shared_account": shared_account, "paper": paper}


def _resources(name, account, shared_account=False, paper=False):
    key = name.lower()
    resources = [f"name/{key}"]
    if account is not None:
        resources += [f"account/{account.lower()}/{place}" for place in _places(key, shared_account, paper)]
    return sorted(resources)


def _sharing(resource, *names):
    """The way out where one of two programs that ask for a trader's place only reads."""
    others = [name for name in names if name and _role(name.lower()) != "brain"]
    if not (resource.startswith("account/") and resource.endswith("/brain") and others):
        return ""
    return (f"\nWhatever is not a watchdog counts as trading. If {_visible(' or '.join(others))} only reads, start it with"
            " `--shared-account`, `\"shared_account\": true` in the config, or `shared_account=True` in process_lock.py.")


def _is_machine_wide(resource):
    """Whether a resource is one of the whole machine; names belong to their folder."""
    return not resource.startswith("name/")


def _guard_path(folder, resource):
    kind, _, rest = resource.partition("/")
    if kind != "name":
        rest = hashlib.sha256(resource.encode()).hexdigest()[:32]
    return folder / ".guards" / f"{kind}@{rest}"


# --- Records -----------------------------------------------------------------------------------------

class _Found:
    """A record file: its name, what it holds, and how old it is."""

    def __init__(self, path):
        self.path = path
        self.name = path.name[:-len(".lock")]
        self.record = None  # the JSON object, unless it is corrupt or hidden
        self.is_hidden = False
        self.why_hidden = None
        self.age = 0.0
        try:
            with open(_retried(_open_for_reading, path), "rb") as file:
                data = file.read(RECORD_LIMIT + 1)
            self.age = abs(time.time() - os.lstat(path).st_mtime)
            self.record = _parse(data)
        except FileNotFoundError:
            raise
        except OSError as error:
            # Another user's record, or one for which the system lacks what it takes, may name
            # a living process. A non-file names no process.
            self.is_hidden = True
            self.why_hidden = _why(error, path)
            try:
                found = os.lstat(path)
                self.age = abs(time.time() - found.st_mtime)
                self.is_hidden = stat.S_ISREG(found.st_mode)
            except OSError:
                pass

    def is_old(self):
        return "version" not in self.record

    def text(self, key):
        value = (self.record or {}).get(key)
        return None if value is None or isinstance(value, (bool, dict, list)) else str(value)

    def host(self):
        return self.text("host") or (self.text("hostname") if self.record and self.is_old() else None)

    def resources(self):
        resources = set()
        try:
            name = _check_name(self.name)
            resources.update(_resources(name, None))
            if self.record and self.is_old():
                resources.update(_resources(name, _check_account(self.text("account"))))
        except LockNameError:
            pass
        if self.record and not self.is_old():
            resources.update(self.record["resources"])
        return resources

    def is_ours(self):
        return (
            self.record is not None and not self.is_old() and self.record["pid"] == os.getpid()
            and self.record["started"] == _own_start() and self.record["boot_id"] == _boot_id())

    def state(self):
        """`held`, `legacy` (held by the old module), `foreign`, `stale` or `corrupt`."""
        if self.record is None:
            return "held" if self.is_hidden else "corrupt"
        if self.is_old():
            if not _is_old_name_of_this_host(self.host()):
                return "foreign"
            return "legacy" if self._is_old_holder() else "stale"
        same_host = (self.host() or "").lower() == socket.gethostname().lower()
        # A record that can't be read is neither ours nor another's.
        here, there = _boot_id(), self.record["boot_id"]
        is_known = all(id and not id.endswith("unknown") for id in (here, there))
        same_boot = is_known and here == there
        if not (same_boot or same_host) or self.record.get("pid_namespace") != _pid_namespace():
            return "foreign"
        if is_known and not same_boot:
            return "stale"
        try:
            return "held" if _start_time(self.record["pid"]) == self.record["started"] else "stale"
        except _Gone:
            return "stale"
        except _Hidden:
            return "held"

    def _is_old_holder(self):
        """An old record knows no start time: its holder is a Python that was started before the
        record was written; one that runs the script of that name is it whatever the clock says.
        Only a program that is certainly no Python is another process."""
        try:
            program, files, since = _describe(self.record["pid"])
        except _Gone:
            return False
        except _Hidden:
            return True
        if program is not None and not _may_be_python(program, self.text("name")):
            return False
        if _runs_script_of(self.text("name"), files):
            return True
        written = _timestamp(self.text("timestamp"))
        return written is None or since <= written + CLOCK_SLACK

    def is_of_a_script_that_runs_here(self):
        """Whether the process with the recorded pid is here, is a Python, and runs the script that the
        lock is named after. Such a record is never removed, wherever it says that it comes from."""
        try:
            program, files, _ = _describe(self.record["pid"]) if self.record else (None, [], 0)
        except (_Gone, _Hidden):
            return False
        name = self.text("name") or self.name
        return program is not None and _may_be_python(program, name) and _runs_script_of(name, files)

    def inherited(self):
        """The resources that this very process holds by what its wrapper has handed down: after it has
        replaced its program (`os.execv`) it still has those guards open."""
        if not self.is_ours() or self.record.get("wrapper_pid") is None:
            return set()
        return {one for one in self.record["resources"] if _is_inherited(_guard_path(self.path.parent, one))}

    def kept(self):
        """The guards that this very process may have kept from the program that it has replaced."""
        if os.name == "nt" or not self.is_ours():
            return set()
        paths = [_guard_path(self.path.parent, one) for one in self.record["resources"]]
        return {place for path in paths for place in (str(path), _shared_path(path.name), _socket_of(path.name))}

    def is_of_a_closed_guard(self, resource, guard):
        """Whether the holder is gone although its process can't be seen, because it is one of another
        container on this machine: the kernel gave us the very guard that it held."""
        ids = (self.record or {}).get("guards")
        boot = (self.record or {}).get("boot_id")
        if not isinstance(ids, dict) or boot != _boot_id() or boot.endswith("unknown"):
            return False
        return ids.get(resource) is not None and ids[resource] == _guard_id(guard)

    def holder(self):
        """`PID 4711 (account 1234567, since 2026-11-02 21:04:05, host TRADER-PC)`"""
        if self.is_hidden:
            return f"a process whose record can't be read ({_visible(self.why_hidden)})"
        if self.record is None:
            return "a process whose record is missing or can't be read"
        since = _local(self.text("timestamp") or "unknown")
        account = self.text("account") or "none"
        host = self.host() or "unknown"
        return _visible(f"PID {self.record['pid']} (account {account}, since {since}, host {host})")


def _is_old_name_of_this_host(host):
    """Whether an old record of `host` can come from here. The old module knew COMPUTERNAME: the NetBIOS
    name on Windows, which has at most 15 characters, and `unknown` elsewhere, which is no host; so is
    `localhost`, the host name where none was set."""
    one, here = ((name or "").strip().lower().rstrip(".") for name in (host, socket.gethostname()))
    if one in ("", "unknown", "localhost", "localhost.localdomain", here):
        return True
    first, _, domain = one.partition(".")
    first_here, _, domain_here = here.partition(".")
    if domain and domain_here:
        return False
    return first == first_here or (not domain and len(first) == 15 and first == first_here[:15])


def _may_be_python(program, name):
    """Whether a program's file can be a Python, or the script `name` itself, compiled."""
    file = _file_name(program).lower()
    return "py" in file or (name is not None and file.partition(".")[0] == name.lower())


def _runs_script_of(name, files):
    """Whether the file names among the arguments of a Python say that it runs the script that the lock
    `name` is named after: `BRAIN_A.py`, `-m BRAIN_A`, or for WATCHDOG_A a watchdog of A."""
    name, files = (name or "").lower(), [file.lower() for file in files]
    if name and any(file in (name, f"{name}.py", f"{name}.pyw", f"{name}.pyc") for file in files):
        return True
    key = name[len("watchdog_"):] if name.startswith("watchdog_") else ""
    return bool(key) and key in files and any("watchdog" in file for file in files)


def _parse(data):
    """Returns the object that a record file holds, or None if it names no holder."""
    try:
        record = json.loads(data.decode("utf-8-sig")) if len(data) <= RECORD_LIMIT else None
        # Python also reads NaN and halves of characters, which are not JSON.
        json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None

    def is_text(key):
        return isinstance(record.get(key), str)

    def is_number(key, bits):
        value = record.get(key)
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**bits

    if not is_number("pid", 32) or record["pid"] == 0:
        return None
    if "version" in record:
        texts = all(map(is_text, ("name", "timestamp", "host", "boot_id")))
        numbers = is_number("version", 32) and is_number("started", 64)
        nullable = all(
            record.get(key) is None or (is_number(key, bits) if bits else is_text(key))
            for key, bits in (("account", 0), ("user", 0), ("program", 0), ("token", 0),
                              ("pid_namespace", 64), ("wrapper_pid", 32)))
        resources = isinstance(record.get("resources"), list)
        nullable = nullable and isinstance(record.get("guards") or {}, dict)
        if not (texts and numbers and nullable and resources
                and all(isinstance(one, str) for one in record["resources"])):
            return None
    return record


_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?: ?([Zz])| ?([+-])(\d\d):?(\d\d))?", re.ASCII)
_EPOCH = re.compile(r"(\d{10})(?:\.(\d+))?|(\d{13})", re.ASCII)


def _timestamp(text):
    """Reads a time as seconds since 1970: ISO 8601, without an offset local time; or such seconds, or
    milliseconds. None if it is anything else, as Rust reads it, too: see `time.rs` of qc-lock-core."""
    text = (text or "").strip(_SPACE)
    epoch = _EPOCH.fullmatch(text)
    if epoch:
        return int(epoch[3]) / 1000 if epoch[3] else float(text)
    found = _TIME.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute = (int(found[n]) for n in range(1, 6))
    second, fraction = int(found[6] or 0), float(f"0.{found[7] or 0}")
    try:
        if not 1971 <= year <= 2999:
            return None
        time_there = datetime(year, month, day, hour, minute, second)
        if found[8] or found[9]:
            hours, minutes = int(found[10] or 0), int(found[11] or 0)
            if hours > 23 or minutes > 59:
                return None
            offset = timedelta(hours=hours, minutes=minutes) * (-1 if found[9] == "-" else 1)
            return time_there.replace(tzinfo=timezone(offset)).timestamp() + fraction
        # Where the clock was set back, one local time happened twice: the later one keeps more alive.
        seconds = time_there.replace(fold=1).timestamp()
        # Where it was set forward, some never happened.
        return seconds + fraction if datetime.fromtimestamp(seconds).replace(fold=0) == time_there else None
    except (ValueError, OverflowError, OSError):
        return None


def _local(text):
    """A time as text shows it: local, `2026-11-28 22:37:24`. What is no time stays as it is written."""
    written = _timestamp(text)
    return text if written is None else datetime.fromtimestamp(written).strftime("%Y-%m-%d %H:%M:%S")


def _now():
    return datetime.now().astimezone().isoformat(timespec="microseconds")


def _program():
    argv = getattr(sys, "argv", None)
    return _clean(os.path.basename(argv[0] if argv and argv[0] else sys.executable or "python"))


def _own_start():
    try:
        return _start_time(os.getpid())
    except (_Gone, _Hidden) as error:
        raise LockError(
            "cannot tell when this process was started; see whether /proc is there, and whether it has too many open files"
        ) from error


def _create(folder):
    for one in (folder, folder / ".guards"):
        try:
            if not _is_folder(one):
                one.mkdir(parents=True, exist_ok=True)
                _let_share_folder(one)
        except OSError as error:
            raise LockError(f"cannot use lock directory {one}: {_why(error, one)}; {_share_hint(error)}") from error


def _is_folder(path):
    """Whether the folder is there; a link to one would move the locks elsewhere, and is refused."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(found.st_mode) or _is_link(found):
        raise NotADirectoryError(errno.ENOTDIR, "it is not a directory", str(path))
    return True


def _records(folder):
    """Reads all records. A folder that is not there holds none."""
    found = []
    try:
        names = sorted(os.listdir(folder)) if _is_folder(folder) else []
    except FileNotFoundError:
        return found
    except OSError as error:
        raise LockError(f"cannot use lock directory {folder}: {_why(error, folder)}; {_share_hint(error)}") from error
    for name in names:
        if name.endswith(".lock"):
            try:
                found.append(_Found(folder / name))
            except FileNotFoundError:
                pass  # released between listing and reading
    return found


_counter = itertools.count()


def _write(folder, record):
    """Writes a record in one step: readers see the old one or the new one, nothing between."""
    path = folder / f"{record['name']}.lock"
    temporary = folder / f".{record['name']}.{os.getpid()}.{next(_counter)}.tmp"
    try:
        try:
            _retried(os.unlink, temporary)  # left by a process that had this pid before and is gone
        except FileNotFoundError:
            pass
        with open(temporary, "x", encoding="utf-8", opener=_opened) as file:
            _let_share(file.fileno(), temporary)
            file.write(_json(record, indent=2))
        _retried(os.replace, temporary, path)
    except BaseException as error:
        try:
            _retried(os.unlink, temporary)
        except OSError:
            pass  # cleared with the stale records
        if not isinstance(error, OSError):
            raise
        raise LockError(
            f"cannot write record {path}: {_why(error, path)}; see who may write there and whether the disk is full"
        ) from error


def _latch(folder, resources):
    """The latch that forbids a lock on `resources`, in words; None if there is none."""
    scopes = [(None, folder / "LATCH")]
    if os.path.lexists(folder / "latches"):
        scopes += [(scope, folder / "latches" / hashlib.sha256(scope.encode()).hexdigest()[:32])
                   for scope in sorted(filter(None, map(_scope, resources)), reverse=True)]
    for scope, path in scopes:
        latch = _read_latch(path)
        if latch is not None:
            kind, _, what = (scope or "").partition("/")
            start = {"name": f"every start of {what} is forbidden",
                     "account": _visible(f"to trade account {what} is forbidden")}
            return f"{start.get(kind, 'every start is forbidden')}: {latch}"
    return None


def _scope(resource):
    """The scope whose latch forbids `resource`. Watchdogs and readers of an account do not trade it."""
    scope, _, place = resource.rpartition("/")
    if resource.startswith("account/"):
        return None if place.startswith("watchdog") or place.endswith("@shared") else scope
    return resource


def _is_out_of_room(error):
    """Whether this process, or the machine, has no files or memory left."""
    return getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def _share_hint(error):
    """What helps against an error with a file that others use, too."""
    return "close files, or raise the limit for open files" if _is_out_of_room(error) else SHARE_HINT


def _read_latch(path):
    """The text of a latch; None if there is none. A latch that can't be read counts."""
    try:
        with open(_retried(_open_for_reading, path), "rb") as file:
            data = file.read(RECORD_LIMIT + 1)
        if len(data) > RECORD_LIMIT:
            raise ValueError(f"it is larger than {RECORD_LIMIT // 1024} KiB")
        latch = json.loads(data.decode("utf-8-sig"))
        by, since, host = (str(latch.get(key) or "unknown") for key in ("by", "since", "host"))
        return _visible(f"{latch['reason']} (by {by}, since {_local(since)}, host {host})")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError, AttributeError, KeyError) as error:
        if _is_out_of_room(error):
            # That says nothing of the latch.
            raise LockError(f"cannot look at latch {path}: {error.strerror}; {_share_hint(error)}") from error
        return _visible(f"the latch is there but can't be read ({error})")


def _remove(path):
    try:
        _retried(os.unlink, path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise LockError(f"cannot remove record {path}: {_why(error, path)}; see who may write there") from error


# --- History -----------------------------------------------------------------------------------------

def _tell(folder, event, name, pid=None, account=None, detail=None):
    """Appends one line to the history. What happens to locks never depends on whether that works."""
    entry = {
        "time": _now(), "event": event, "name": name, "pid": pid, "account": account, "detail": detail,
        "by": _program(), "by_pid": os.getpid(), "user": _clean(_user()), "host": _clean(socket.gethostname()),
    }
    path = folder / "history.jsonl"
    try:
        fd = _retried(_open_for_append, path)
        try:
            before = os.fstat(fd)
            if before.st_nlink > 1:
                # Another file of that name could be another program's.
                raise OSError(errno.EINVAL, "it is a hard link, so it may be another file; remove it", str(path))
            if before.st_size == 0:
                _let_share(fd, path)
            line = _json(entry).encode() + b"\n"
            if os.write(fd, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            full = os.fstat(fd).st_size > HISTORY_LIMIT
        finally:
            os.close(fd)
        if full:
            _rotate(folder, path)
    except OSError as error:
        _say(_visible(f"process_lock: cannot write history {path}: {_why(error, path)}"))
    except LockError as error:
        _say(f"process_lock: {error}")


def _rotate(folder, path):
    with _Guard(folder / ".guards" / "history") as guard:
        if guard.take() and os.stat(path).st_size > HISTORY_LIMIT:
            _retried(os.replace, path, folder / "history.1.jsonl")


# --- The lock ----------------------------------------------------------------------------------------

# `importlib.reload` runs this file again in the same module: what is held stays held.
_mutex = globals().get("_mutex") or threading.RLock()
_held = globals().get("_held", [])  # the ProcessLocks that this process holds
_claimed = globals().get("_claimed", {})  # folder -> the record that a wrapper holds for this process
_in_line = globals().get("_in_line", {})  # folder -> the guard that is waited for, see `_stand_in_line`
_in_hand = globals().get("_in_hand", set())  # guards that are being taken, not held yet
_is_warned = globals().get("_is_warned", False)  # that a guard of the machine can't be taken here
_taking = globals().get("_taking") or threading.RLock()  # no fork between opening a guard and putting it there
_kept = globals().get("_kept", set())  # guards that this process has kept through `os.execv`: paths, names of sockets
_from_wrapper = globals().get("_from_wrapper", {})  # descriptors of a wrapper's guards -> what they are open on
_token = globals().get("_token")  # what was found in the environment, while it may still be claimed


class _Guard:
    """A guard file that is being taken or is held: its descriptor, if it is open. Whoever takes it
    keeps it first, so that an interrupt leaves no guard that is locked and unknown."""

    has_descriptors = True

    def __init__(self, path, close=os.close):
        self.path = path
        self.numbers = []  # descriptors, or handles of Windows
        self._close = close
        self._ids = {}  # what the descriptors are open on

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _surely(self.close)

    def take(self):
        """Locks the guard; returns whether that was possible."""
        try:
            while True:
                with _taking:
                    _in_hand.add(self)
                    _retried(_open_guard, self.path, self.numbers)
                    if not _try_lock(self.numbers[-1]):
                        self.close()
                        return False
                    # Between opening and locking the file may have been deleted and made anew: then
                    # the lock is on a file that no other process will ever see.
                    if self.is_current():
                        self._note()
                        return True
                    self.close()
        except OSError as error:
            raise LockError(f"cannot lock guard {self.path}: {_why(error, self.path)}; {_share_hint(error)}") from error

    def open(self):
        """Opens the file, to lock it later."""
        try:
            _retried(_open_guard, self.path, self.numbers)
        except OSError as error:
            raise LockError(f"cannot lock guard {self.path}: {_why(error, self.path)}; {_share_hint(error)}") from error

    def take_when_free(self):
        """Locks the guard, which is open, as soon as nobody has it any more."""
        while True:
            _lock_when_free(self.numbers[-1])
            if self.is_current():
                return self._note()
            self.close()
            self.open()

    def is_current(self):
        """Whether the open file is still the one that the path names."""
        return _is_current(self.numbers[-1], self.path)

    def close(self):
        """Lets the guard go. Can be called again where it was interrupted."""
        while self.numbers:
            try:
                if self.has_last():
                    _close_last(self._close, self.numbers)
                else:
                    self.numbers.pop()
            except OSError:
                pass  # closed by the program itself
        self._ids = {}
        _in_hand.discard(self)

    def _note(self):
        """Notes what the descriptors are open on, to know them again."""
        if self.has_descriptors:
            self._ids = {number: _open_file(number) for number in self.numbers}

    def has_last(self):
        """Whether the last descriptor is still the guard's. The program may have closed it, and have got
        the number for a file of its own."""
        number = self.numbers[-1]
        return number not in self._ids or self._ids[number] == _open_file(number)


class _MachineGuard(_Guard):
    """The second half of an account's guard, which holds on the whole machine. It has two legs, as
    neither can be used, or is seen, from everywhere; one that is held elsewhere is enough to refuse."""

    has_descriptors = os.name != "nt"

    def __init__(self, name):
        super().__init__(None, _close_leg)
        self.name = name
        self.is_held = False

    def take(self):
        """Takes all legs that can be used here; returns False if another program holds one."""
        global _is_warned
        try:
            with _taking:
                _in_hand.add(self)
                for leg in _LEGS:
                    is_taken = leg(self.name, self.numbers)
                    if is_taken is False:
                        self.close()
                        return False
                    self.is_held = self.is_held or bool(is_taken)
                self._note()
        except OSError as error:
            raise LockError(f"cannot lock guard {self.name} of this machine: {error.strerror or error}") from error
        if not self.is_held and not _is_warned:
            _is_warned = True
            _say(f"WARNING: this account is locked in this folder only: {_NO_LEG}")
        return True

    def announce(self, name, folder):
        """Lets all programs of the machine read who holds the guard, and in which folder."""
        identity = f"{os.getpid()}.{_own_start()}.{_pid_namespace() or 0}{_MARK}"
        by = self._start("by") + identity
        with _taking:
            # The folder first: where the holder is seen, its folder is, too.
            _announce(self._start("in"), _plain_path(folder), self.numbers)
            _announce(by, name[:_NAME_SIZE - len(by)], self.numbers)
            self._note()

    def holder(self):
        """Returns PID and name of the holder and its folder, as far as they are known."""
        takers, folder = self._claims()
        found = next((one for one in takers if _is_alive(*map(int, one.groups()[:3]))), None)
        return None if found is None else (int(found[1]), found[4], folder)

    def taker(self):
        """Returns name and folder of a program of this container that has taken the guard and has ended;
        what it had started may have inherited the guard."""
        takers, folder = self._claims()
        found = next((one for one in takers if int(one[3]) == (_pid_namespace() or 0)), None)
        return None if found is None else (found[4], folder)

    def _claims(self):
        """Returns who says that it has taken the guard, and in which folder. They are two objects, so they
        are read until two looks agree: rather no folder than that of another holder."""
        before = None
        for _ in range(_MOST_LOOKS):
            by, folders = (sorted(_announced(self._start(kind))) for kind in ("by", "in"))
            is_clear = before == (by, folders) and len(by) <= 1 and len(folders) <= 1
            if is_clear:
                break
            before = by, folders
        takers = (re.fullmatch(r"([1-9]\d{0,9})\.(\d{1,20})\.(\d{1,20})[./](.*)", text) for text in by)
        return [found for found in takers if found], folders[0] if is_clear and folders else None

    def _start(self, kind):
        return _MARK.join(("qc2", self.name, kind, ""))


def _is_alive(pid, started, namespace):
    """Whether a process that has announced itself lives, as far as that can be seen from here."""
    if namespace != (_pid_namespace() or 0):
        return False
    try:
        return _start_time(pid) == started or started == 0
    except _Gone:
        return False
    except _Hidden:
        return True


def _plain_path(path):
    """A path as it is shown to people: on Windows without the prefix for long paths."""
    text = str(path)
    if os.name == "nt":
        text = re.sub(r"^//\?/(UNC/)?", lambda found: "//" if found[1] else "", text.replace("\\", "/"))
    return text


def _surely(step):
    """Takes a step that can be taken again, and does so where an interrupt (Ctrl-C, or another
    exception of a signal handler) has come in between."""
    try:
        step()
    except LockError:
        raise
    except BaseException:
        step()
        raise


def _claim(folder, resources):
    """Takes over the lock that qc-lock or qc-launch holds for this process, if it protects one of the
    `resources`: of another lock, the token is not this one's to take."""
    global _token
    _token = os.environ.pop(TOKEN_VARIABLE, _token)  # not for our children
    if _claimed.get(str(folder)):
        _keep_from_helpers(folder, _claimed[str(folder)])  # again, after an interrupt
        return
    if _token:
        # Of two processes that a shell starts with it at once, one gets it.
        with _Guard(folder / ".guards" / "claim") as guard:
            _wait_for(guard)
            _claim_token(folder, resources)
    if str(folder) not in _claimed:
        # Looked for once: only a new program in an old process has inherited anything.
        records = _records(folder)
        inherited = ({**(found.record or {}), "resources": sorted(found.inherited())} for found in records)
        _kept.update(_kept_by_name(), *(found.kept() for found in records))
        _claimed[str(folder)] = next((record for record in inherited if record["resources"]), None)
    _keep_from_helpers(folder, _claimed[str(folder)])


def _keep_from_helpers(folder, claimed):
    """Lets no program that this one starts have the guards of its wrapper: it would keep the lock. A
    program that this one is replaced by gets them, see `_at_audit`."""
    if claimed and _watch_exec():
        for fd in _guards_from_wrapper([_guard_path(folder, one) for one in claimed["resources"]]):
            _from_wrapper[fd] = _open_file(fd)
            os.set_inheritable(fd, False)


def _claim_token(folder, resources):
    global _token
    token = _token
    try:
        found = _Found(folder / f"{_check_name(token.partition('/')[0])}.lock")
    except (FileNotFoundError, LockNameError):
        return  # that of another folder
    record = found.record
    is_its = (
        record is not None and not found.is_old() and record.get("token") == token and found.state() == "held"
        # The recorded process is this one, or the virtual environment's stub that started it.
        and record["pid"] in (os.getpid(), os.getppid()))
    if is_its and not set(record["resources"]) & set(resources):
        return  # for a lock that this process, or another one of a shell's, has still to take
    _token = None
    if is_its:
        record.update(pid=os.getpid(), started=_own_start(), token=None, program=_program(), user=_clean(_user()))
        _write(folder, record)
        _claimed[str(folder)] = record


def _stand_in_line(lock, folder):
    """Makes sure of what this lock has claimed and this process has not inherited, because what started it
    has closed the guards (as `subprocess` does): it is taken over as soon as the wrapper, and all that
    keeps it for this process, has ended."""
    claimed = _claimed.get(str(folder))
    if os.name == "nt" or not claimed or str(folder) in _in_line:
        return
    missing = [one for one in claimed["resources"] if not _is_inherited(_guard_path(folder, one))]
    used = next((one for one in missing if one in lock._resources), None)
    if used is None:
        return
    first = _in_line[str(folder)] = _Guard(_guard_path(folder, used))
    try:
        first.open()
        threading.Thread(target=_take_over_claimed, args=(folder, missing, used, first), daemon=True).start()
    except BaseException as error:
        _in_line.pop(str(folder)).close()
        if isinstance(error, RuntimeError):
            raise LockError(f"cannot keep lock '{lock.name}' beyond its wrapper: {error}") from error
        raise


def _take_over_claimed(folder, missing, used, first):
    """Waits in a thread of its own for the guard of `used`, and takes over what is in use by then."""
    guards, lost = {used: [first]}, set()
    try:
        first.take_when_free()
        _take_used(folder, missing, guards, lost)
        with _mutex:
            _take_used(folder, missing, guards, lost)
            for lock in _held_in(folder):
                resources = [one for one in missing if one in lock._resources]
                if lost.intersection(resources):
                    _say(f"process_lock: the wrapper of lock '{lock.name}' has ended, and another program has taken it. Stop this one.")
                elif resources:
                    lock._become_owner([guard for one in resources for guard in guards.pop(one)])
            _remove_claimed(folder, missing)
    except Exception as error:  # nothing but this can be told from here
        _say(f"process_lock: what '{folder}' shows as locked may not be kept: {error}")
    finally:
        for guard in [guard for of_one in guards.values() for guard in of_one]:
            guard.close()


def _take_used(folder, missing, guards, lost):
    """Takes the guards of what a wrapper held and a lock uses."""
    in_use = {one for lock in _held_in(folder) for one in lock._resources}
    for resource in in_use.intersection(missing).difference(lost):
        path = _guard_path(folder, resource)
        of_one = guards.setdefault(resource, [_Guard(path)])
        if _is_machine_wide(resource) and len(of_one) == 1:
            of_one.append(_MachineGuard(path.name))
        if not all([guard.numbers or _wait_for(guard) for guard in of_one]):
            lost.add(resource)


def _remove_own_record(path):
    """Removes a record, unless it is certain that by now it is another holder's."""
    try:
        found = _Found(path)
    except FileNotFoundError:
        return
    if found.record is None or found.is_ours():
        _remove(path)


def _held_in(folder):
    return [lock for lock in list(_held) if lock._folder == folder]


def _remove_claimed(folder, missing):
    """Forgets what a wrapper that has ended held for this process and no lock of it has taken over."""
    claimed = _claimed[str(folder)]
    inherited = [one for one in claimed["resources"] if one not in missing]
    _claimed[str(folder)] = {**claimed, "resources": inherited} if inherited else None
    _in_line.pop(str(folder), None)
    if not inherited and not any(lock.name == claimed["name"] for lock in _held_in(folder)):
        _remove_own_record(folder / f"{claimed['name']}.lock")


def _wait_for(guard):
    """Takes a guard that is never held for longer than a moment; gives up if it is all the same. Returns
    whether it has it."""
    began = time.monotonic()
    while not guard.take():
        if time.monotonic() - began > LATE_RELEASE:
            return False
        time.sleep(PAUSE)
    return True


class ProcessLock:
    """A named lock, and with `account` also the place there of whoever trades, or guards as a watchdog.

    `shared_account`: this program only reads the account, beside whoever trades it.
    `paper`: it trades on paper, beside whoever trades the account.

    The process holds the lock, and not a thread: while this object holds it, `acquire` returns True at
    once, in whichever thread, and one `release` gives it back. A second object of the same name is
    refused, also in the same process. Use a `threading.Lock` to keep threads apart.
    """

    def __init__(self, name: str, account: Any = None, shared_account: bool = False, paper: bool = False) -> None:
        self.name = _check_name(name)
        self.account = _check_account(account)
        self._use = _account_use(shared_account, paper)
        self._is_held = False
        self._guards = []  # while the lock is being taken or is held
        self._folder = None
        self._resources = []
        self._owns_record = None  # None: no record is written; False: it is the wrapper's
        self._blocks = []  # a mark for each `with` block that the lock is in
        self._is_of_block = False  # whether the outermost of them has taken it

    def __getstate__(self) -> Dict[str, Any]:
        """The state of a copy: the same lock, which the copy does not hold."""
        return {
            **self.__dict__, "_is_held": False, "_guards": [], "_folder": None, "_resources": [],
            "_owns_record": None, "_blocks": [], "_is_of_block": False}

    @property
    def acquired(self) -> bool:
        """Whether this object holds the lock."""
        return self._is_held

    @property
    def lock_file(self) -> Path:
        """The path of the record, which is there while the lock is held."""
        return Path(self._folder or LOCK_DIR) / f"{self.name}.lock"

    def acquire(self) -> bool:
        """Takes the lock, or keeps it if this object holds it already. Reports the holder on standard error and
        returns False if another process or object holds it."""
        try:
            return self._acquire() is self
        except LockHeldError as refusal:
            _say(refusal)
            return False

    def release(self) -> None:
        """Gives the lock back. Does nothing if it is not held."""
        with _mutex:
            self._is_of_block = False
            if self._is_held:
                _surely(self._let_go)

    def _let_go(self):
        """Undoes all that an acquire has done, as far as it came."""
        with _mutex:
            try:
                # First the record, so that no process ever sees a free lock with a fresh record.
                self._give_back()
            except LockError:
                self._close_guards()
                raise
            self._close_guards()

    def _close_guards(self):
        for guard in self._guards:
            guard.close()
        self._is_held, self._guards = False, []

    def _give_back(self):
        """Does all of it but letting go of the guards, once."""
        failure = None
        try:
            if self._owns_record:
                _remove_own_record(self._folder / f"{self.name}.lock")
            elif self._owns_record is False:
                # The wrapper's guards stay; the ones that this lock has added go.
                _write(self._folder, _claimed[str(self._folder)])
        except LockError as error:
            failure = error
        self._owns_record = None
        if self in _held:
            _held.remove(self)
            _tell(self._folder, "released", self.name, os.getpid(), self.account)
        if failure is not None:
            raise failure

    def get_lock_info(self) -> Optional[Dict[str, Any]]:
        """Returns the record of this lock as a dict, or None if there is none that can be read."""
        for found in _records(_lock_folder()):
            if found.name.lower() == self.name.lower():
                return found.record
        return None

    def __enter__(self) -> ProcessLock:
        block = object()
        try:
            return self._acquire(block)
        except BaseException:
            _surely(lambda: self._leave(block))
            raise

    def __exit__(self, *_: Any) -> bool:
        """Gives the lock back at the end of the outermost block, if that has taken it."""
        with _mutex:
            self._leave(self._blocks[-1] if self._blocks else None)
        return False

    def _leave(self, block):
        with _mutex:
            self._blocks = [one for one in self._blocks if one is not block]
            if not self._blocks and self._is_of_block:
                self.release()

    def _acquire(self, block=None):
        """Takes the lock, or raises an exception and holds nothing."""
        was_held = True
        try:
            with _mutex:
                was_held = self._is_held
                if not was_held:
                    self._wait_until_taken()
                    self._is_of_block = block is not None
                if block is not None:
                    self._blocks.append(block)
                return self
        except BaseException:
            if not was_held:
                _surely(self._let_go)
            raise

    def _wait_until_taken(self):
        self._let_go()  # of what two interrupts have left
        self._folder = folder = _lock_folder()
        _say_where(folder)
        _create(folder)
        _claim(folder, self._asked(None))
        began, pause, is_told = time.monotonic(), PAUSE, False
        while True:
            refusal, patience = self._attempt(folder)
            if refusal is None:
                break
            self._let_go()
            waited = time.monotonic() - began
            if waited >= patience:
                if refusal.look_closer is not None:
                    refusal = refusal.look_closer()
                _tell(folder, "blocked", *refusal.told)
                raise refusal
            if waited >= LONG_WAIT and not is_told:
                is_told = True
                _say(f"process_lock: waits up to {patience:g} s for lock '{self.name}': {refusal.reason}")
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _attempt(self, folder):
        """Tries once; returns the refusal, and for how long to go on trying. What it has done until
        then is undone by `_acquire`."""
        claimed = _claimed.get(str(folder))
        resources = self._asked(claimed)
        granted = set(claimed["resources"]) if claimed else set()
        in_use = {one for lock in _held for one in lock._resources}
        taken, machine = {}, []
        for resource in resources:
            if resource not in granted:
                guard = taken[resource] = self._with(_Guard(_guard_path(folder, resource)))
                try:
                    is_taken = guard.take()
                except LockError as error:
                    refusal, patience = self._explain(folder, resource)
                    if isinstance(error.__cause__, PermissionError) and refusal.look_closer is None:
                        return refusal, patience  # who may not lock it may still see who holds it
                    raise
                if not is_taken:
                    return self._explain(folder, resource)
            elif resource in in_use:
                return self._explain(folder, resource)
        for resource in resources:
            # A wrapper holds the machine's guards for the lock that it hands down, unless it is an old one.
            if _is_machine_wide(resource) and not (resource in granted and "machine" in claimed):
                guard = self._with(_MachineGuard(_guard_path(folder, resource).name))
                if not guard.take():
                    return self._refused_on_this_machine(resource, guard), SETTLE
                machine.append(guard)
        # Looked at with the guards in hand; and once more when the record is there, for a latch
        # that is set in between.
        latch = _latch(folder, resources)
        if latch is not None:
            return self._forbidden(latch), 0
        left_over = []
        for found in _records(folder):
            # The records of its wrappers list the granted resources, too.
            resource = next((one for one in resources if one in found.resources() and one not in granted), None)
            if resource is None:
                continue
            state = found.state()
            if state == "corrupt" and found.age < SETTLE:
                # An old module may be writing it right now.
                return self._refused(folder, resource, None), SETTLE * 2
            closed = (state == "foreign" and resource in taken
                      and found.is_of_a_closed_guard(resource, taken[resource].numbers[-1]))
            if state in ("stale", "corrupt") or closed or found.is_ours():
                left_over.append(found)
            else:
                # A process that is ending frees its guards a moment before it is gone. One that
                # has lost them in another way is still there when that moment is over.
                patience = SETTLE if state == "held" and not found.is_hidden else 0
                return self._refused(folder, resource, found), patience
        self._record(folder, resources, claimed, left_over, taken, [one.name for one in machine if one.is_held])
        for guard in machine:
            guard.announce(self.name, folder.parent)
        latch = _latch(folder, resources)
        if latch is not None:
            return self._forbidden(latch), 0
        if not all(guard.is_current() for guard in taken.values()):
            # Deleted before the record was there, a guard has kept no process out. A process that took a new
            # one meanwhile holds the lock; whoever takes one from now on finds the record.
            return self._refused(folder, resources[0], None), SETTLE
        self._resources = resources
        _stand_in_line(self, folder)
        _held.append(self)
        self._is_held = True
        _in_hand.difference_update(self._guards)
        _tell(folder, "acquired", self.name, os.getpid(), self.account)
        _release_at_end()
        return None, 0

    def _become_owner(self, guards):
        """Holds by itself what it had claimed, with these guards, after those that kept it have ended."""
        self._guards.extend(guards)
        machine = [guard for guard in self._guards if isinstance(guard, _MachineGuard)]
        for guard in machine:
            guard.announce(self.name, self._folder.parent)
        self._owns_record = True
        for found in _records(self._folder):
            if found.is_ours() and found.name.lower() == self.name.lower():
                names = sorted(one.name for one in machine)
                _write(self._folder, {**found.record, "name": self.name, "wrapper_pid": None, "machine": names})
                break

    def _asked(self, claimed):
        """The request. A wrapper that holds this very lock has declared how the account is used."""
        asked = _resources(self.name, self.account, **self._use)
        if self.account is None or not claimed or "machine" not in claimed or claimed["name"].lower() != self.name.lower():
            return asked
        start = f"account/{self.account.lower()}/"
        theirs = {one for one in claimed["resources"] if one.startswith(start)}
        return sorted(theirs | {one for one in asked if not one.startswith(start)}) if theirs else asked

    def _with(self, guard):
        """Keeps a guard before it is taken."""
        self._guards.append(guard)
        return guard

    def _record(self, folder, resources, claimed, left_over, taken, machine):
        """Writes the record, over those that the dead have left."""
        guards = {resource: _guard_id(guard.numbers[-1]) for resource, guard in taken.items()}
        guards = {resource: id for resource, id in guards.items() if id is not None}
        handed_down = (claimed or {}).get("machine")
        handed_down = handed_down if isinstance(handed_down, list) else []
        if claimed and claimed["name"].lower() == self.name.lower():
            # The record that names this process already; its wrapper removes it.
            self._owns_record = False
            added = {"account": claimed.get("account") or self.account}
            added["resources"] = sorted({*claimed["resources"], *resources})
            if guards:
                added["guards"] = {**(claimed.get("guards") or {}), **guards}
            # The guards that an old wrapper's child holds itself are not listed: after `os.execv` it has to take it anew.
            if "machine" in claimed:
                added["machine"] = sorted({*handed_down, *machine})
            _write(folder, {**claimed, **added})
        else:
            self._owns_record = True
            for found in left_over:
                if found.name.lower() == self.name.lower():
                    # In another case it is another file, which the new record may not replace.
                    if found.name != self.name:
                        _remove(found.path)
                    detail = "the record was corrupt"
                    if found.record is not None:
                        detail = f"from {found.holder()}, which has ended"
                    pid = found.record["pid"] if found.record else None
                    _tell(folder, "reclaimed", self.name, pid, found.text("account"), detail)
            record = {
                "pid": os.getpid(), "name": self.name, "account": self.account, "timestamp": _now(),
                "host": _clean(socket.gethostname()), "version": 1, "started": _own_start(), "boot_id": _boot_id(),
                "pid_namespace": _pid_namespace(), "resources": resources, "wrapper_pid": None,
                "user": _clean(_user()), "program": _program(), "token": None,
            }
            if guards:
                record["guards"] = guards
            wide = {_guard_path(folder, one).name for one in resources if _is_machine_wide(one)}
            if wide:
                record["machine"] = sorted({*machine, *wide.intersection(handed_down)})
            _write(folder, record)

    def _explain(self, folder, resource):
        """Finds out who holds `resource`, and for how long that may still change."""
        states = [(one, one.state()) for one in _records(folder) if resource in one.resources()]
        # The dead may have left a record that lists it, too; the living count first.
        for found, state in states:
            if state in ("held", "legacy", "foreign"):
                return self._refused(folder, resource, found), 0
        state = states[0][1] if states else "corrupt"
        # A new holder is writing its record, or the system is late, or a process that the dead one
        # had started has inherited the lock.
        if state != "stale":
            return self._refused(folder, resource, None), SETTLE
        return self._refused(folder, resource, None, dead=states[0][0].name), LATE_RELEASE

    def _forbidden(self, latch):
        refusal = LockLatchedError(
            f"Lock '{self.name}' is not given, because {latch}\n"
            "When it may start again, run `qc-launch unlatch`.")
        refusal.reason = latch
        refusal.told = (self.name, os.getpid(), None, refusal.reason)
        return refusal

    def _refused_on_this_machine(self, resource, guard, open_in=None):
        """The refusal by a holder in another folder, of another user, or in a container."""
        holder, hint = "another program on this machine", f"An administrator sees it with: {_FIND_HOLDER}"
        pid, name, root = guard.holder() or (None, None, None)
        if pid is not None:
            holder = f"PID {pid} ({_visible(name)} in {_visible(root or 'another folder')})"
            hint = f"Stop it with qc-shutdown in {_visible(root or 'its folder')}."
        else:
            name, root = guard.taker() or (None, None)
            if name is not None:
                holder = f"what {_visible(name)} in {_visible(root or 'another folder')}, which has ended, has left behind"
            if open_in:
                holder += "; its guard is open in " + ", ".join(open_in)
            if open_in and name is not None and root is not None:
                hint = f"`qc-lock release-left {_visible(name)} --root \"{_visible(root)}\"` ends that; see first what it is."
        refusal = LockHeldError(
            f"Lock '{self.name}' is held by {holder}; " + _visible(f"both need '{resource}' on this machine")
            + f"\n{hint}" + _sharing(resource, self.name, name))
        refusal.reason = f"held by {holder}"
        refusal.told = (self.name, os.getpid(), self.account, refusal.reason)
        if pid is None and open_in is None:
            refusal.look_closer = (
                lambda: self._refused_on_this_machine(resource, guard, _machine_guard_open_in(guard.name)))
        return refusal

    def _refused(self, folder, resource, found, open_in=None, dead=None):
        """`dead` is the lock of an ended process whose record lists `resource`."""
        holder = found.holder() if found else "a process whose record is missing or can't be read"
        if dead is not None:
            holder = f"what {_visible(dead)}, which has ended, has left behind"
        if open_in:
            holder += "; its guard is open in " + ", ".join(open_in)
        own = f"name/{self.name.lower()}"
        same_lock = resource == own or (found is not None and own in found.resources())
        collision = "" if same_lock else _visible(f"; both need '{resource}'")
        hint = SHUTDOWN_HINT
        left = dead or (self.name if resource == own else None)
        if open_in and left is None:
            hint = "See with `qc-ps --tree` what it is."
        elif open_in:
            hint = f"`qc-lock release-left {_visible(left)}` ends what an ended program has left behind; see first what it is."
        if found and found.state() == "foreign":
            hint = f"Stop it on {_visible(found.host() or 'its machine')}; `qc-lock clear-all` removes the record if nothing runs there."
        wrapper = _own_wrapper(_records(folder), resource)
        if wrapper is not None:
            if not found:
                holder = f"PID {wrapper} (`qc-lock run` or `qc-launch`)"
            hint = (f"This program runs under PID {wrapper}, which holds the lock for what it starts itself, and once: "
                    "start this program with `exec`, or without the shell or loop between.")
        sharing = "" if same_lock else _sharing(resource, self.name, found.name if found else None)
        refusal = LockHeldError(f"Lock '{self.name}' is held by {holder}{collision}\n{hint}{sharing}")
        if not found and open_in is None:
            refusal.look_closer = lambda: self._refused(
                folder, resource, None, _open_in(_guard_path(folder, resource)), dead)
        refusal.reason = f"held by {holder}"
        refusal.told = (self.name, os.getpid(), found.text("account") if found else None, refusal.reason)
        return refusal


def _own_wrapper(records, resource):
    """The wrapper that this process descends from and that holds `resource` for another process."""
    ancestors = set(_ancestors())
    wrappers = ((found.record or {}).get("wrapper_pid") for found in records if resource in found.resources())
    return next((pid for pid in wrappers if pid in ancestors), None)


# --- The end of the process ----------------------------------------------------------------------------

_end_is_watched = globals().get("_end_is_watched", False)
_are_signals_watched = globals().get("_are_signals_watched", False)
_fork_is_watched = globals().get("_fork_is_watched", False)
_exec_is_watched = globals().get("_exec_is_watched", False)
_handed_on_by = globals().get("_handed_on_by")  # the thread for whose next program the guards may be inherited now


def _release_at_end():
    """Gives the locks back also when the process is asked to end."""
    global _end_is_watched, _are_signals_watched
    if not _end_is_watched:
        _end_is_watched = True
        _watch_exec()
        # A sub-interpreter ends before its process does.
        atexit.register(_let_go_of_all if _is_sub_interpreter() else _release_all)
    if _are_signals_watched:
        return
    # SIGBREAK is what Windows makes of a console that closes.
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        try:
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end_by_signal)
        except ValueError:
            return  # only the main thread of the main interpreter may
    _are_signals_watched = True


def _is_sub_interpreter():
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            module = importlib.import_module(name)
            return module.get_current() != module.get_main()
        except (ImportError, AttributeError):
            pass  # this Python has none of that name
    return False


def _watch_exec():
    """Lets the locks stay when the process replaces its program; returns whether they do."""
    global _exec_is_watched
    if not _exec_is_watched and os.name != "nt":
        try:
            sys.addaudithook(_at_audit)
            _exec_is_watched = True
        except (AttributeError, RuntimeError):
            pass  # this Python has no such hooks, or another one forbids it
    return _exec_is_watched


def _at_audit(event, _arguments):
    """Lets the next program of this process have the guards (`os.execv`), and no other one."""
    global _handed_on_by
    if event == "os.exec":
        _handed_on_by = threading.get_ident()
        _let_inherit(True)
    elif _handed_on_by == threading.get_ident():
        # It has failed, in any case. What other threads do meanwhile says nothing about it.
        _handed_on_by = None
        _let_inherit(False)


def _let_inherit(may_inherit):
    guards = [guard for lock in _held for guard in lock._guards]
    known = {**_from_wrapper, **{fd: id for guard in guards for fd, id in guard._ids.items()}}
    for fd, id in known.items():
        if id is not None and _open_file(fd) == id:
            os.set_inheritable(fd, may_inherit)


def _end_by_signal(number, _frame):
    try:
        _release_all()
    finally:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _release_all():
    """Takes the records of all locks away, and leaves the guards to the system: until the process has
    ended, what is registered to run after this (a library that closes positions) is still at work."""
    for lock in list(_held):
        try:
            lock._give_back()
        except Exception as error:  # nothing keeps a process from ending
            _say(f"process_lock: {error}")


def _let_go_of_all():
    for lock in list(_held):
        try:
            lock.release()
        except Exception as error:
            _say(f"process_lock: {error}")


def _forget_all():
    """A forked child shares the locks, but must not give back what is its parent's. What its parent was
    just taking is none of its."""
    global _mutex, _taking, _token
    _mutex, _taking = threading.RLock(), threading.RLock()  # another thread of the parent may have had them
    _token = None
    for lock in _held:
        lock._is_held, lock._guards, lock._blocks, lock._is_of_block = False, [], [], False  # and still open
    _kept.clear()
    _from_wrapper.clear()
    for guard in [*_in_hand, *_in_line.values()]:
        guard.close()
    _in_line.clear()
    _held.clear()
    _claimed.clear()
    _in_hand.clear()


if hasattr(os, "register_at_fork") and not _fork_is_watched:
    _fork_is_watched = True
    os.register_at_fork(
        before=lambda: _taking.acquire(), after_in_parent=lambda: _taking.release(),
        after_in_child=lambda: _forget_all())


# --- Looking and clearing ----------------------------------------------------------------------------

class ActiveLock(tuple):
    """A lock that is, or may be, held: the pair of its record's file name and its record, as the old
    module had it, which can be read like the record itself, too."""

    def __getitem__(self, key: Any) -> Any:
        return self[1][key] if isinstance(key, str) else super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return key in self[1] or super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """A value of the record."""
        return self[1].get(key, default)

    def keys(self) -> KeysView[str]:
        """The keys of the record."""
        return self[1].keys()

    def values(self) -> ValuesView[Any]:
        """The values of the record."""
        return self[1].values()

    def items(self) -> ItemsView[str, Any]:
        """The keys and values of the record."""
        return self[1].items()


def list_active_locks() -> List[ActiveLock]:
    """Returns a pair of file name and record for each lock that is, or may be, held. The record has a
    `state`, and the pair can be read like the record: `lock["pid"]`."""
    active = []
    for found in _records(_lock_folder()):
        state = found.state()
        if state in ("held", "legacy", "foreign"):
            old_keys = {key: found.text(key) for key in ("name", "account", "timestamp", "host")}
            record = {"pid": None, **(found.record or {}), **old_keys, "name": found.name, "state": state}
            active.append(ActiveLock((found.path.name, record)))
    return active


def clear_stale_locks() -> int:
    """Removes the records of holders that have ended, and corrupt ones; returns how many."""
    return _clear(("stale", "corrupt"), "stale")


def clear_all_locks() -> int:
    """Removes all records but those of processes that live on this machine; returns how many."""
    return _clear(("stale", "corrupt", "foreign"), "forced")


def _clear(states, reason):
    folder = _lock_folder()
    count = 0
    for found in _records(folder):
        if _may_go(found, states) and _remove_if(folder, found, states):
            pid = found.record["pid"] if found.record else None
            _tell(folder, "cleared", found.name, pid, found.text("account"), reason)
            count += 1
    if folder.is_dir():
        for path in folder.glob(".*.tmp"):
            try:
                if time.time() - os.lstat(path).st_mtime > LEFTOVER:
                    os.unlink(path)
            except OSError:
                pass  # it only takes up room
    return count


def _may_go(found, states):
    state = found.state()
    return state in states and not (state == "foreign" and found.is_of_a_script_that_runs_here())


def _remove_if(folder, found, states):
    """Removes a record with its guard in hand, so that no process can be taking the lock meanwhile."""
    with _Guard(_guard_path(folder, f"name/{found.name.lower()}")) as guard:
        try:
            _check_name(found.name)
            _create(folder)
            if not guard.take():
                return False
        except LockNameError:
            pass  # no lock has this name, so it has no guard
        try:
            if not _may_go(_Found(found.path), states):
                return False
            _remove(found.path)
            return True
        except FileNotFoundError:
            return True


def main(words: Optional[Sequence[str]] = None) -> int:
    """The command line of the old module."""
    global LOCK_DIR
    parser = argparse.ArgumentParser(
        prog="process_lock.py", description="Look at the fleet's locks.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 4 cancelled at the prompt.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list the active locks")
    what.add_argument("--clear-stale", action="store_true", help="remove the records of ended processes")
    what.add_argument(
        "--clear-all", action="store_true",
        help="remove all records but those of living processes; asks first if standard input is a terminal")
    parser.add_argument("--yes", action="store_true", help="do not ask (with --clear-all)")
    parser.add_argument("--lock-dir", metavar="DIR", help="folder of the locks, instead of the fleet's .locks")
    parser.add_argument("--json", action="store_true", help="print JSON (with --list)")
    options = parser.parse_args(words)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a console of Windows may know few characters
    if options.lock_dir:
        LOCK_DIR = Path(options.lock_dir)
    try:
        return _obey(options, parser)
    except LockError as error:
        print(f"process_lock: {error}", file=sys.stderr)
    except OSError as error:
        sys.stdout = None  # it would fail once more at the end
        print(f"process_lock: cannot write: {error.strerror or error}", file=sys.stderr)
    return 1


def _obey(options, parser):
    if options.clear_stale:
        print(f"Cleared {clear_stale_locks()} stale locks.")
    elif options.clear_all:
        if not options.yes and not _confirmed("Remove all records but those of living processes? [y/N] "):
            print("Cancelled.")
            return 4
        print(f"Cleared {clear_all_locks()} locks.")
    elif options.list or options.json:
        _print_locks(options.json)
    else:
        parser.print_help()
    if sys.stdout is not None:
        sys.stdout.flush()
    return 0


def _confirmed(question):
    """Whether whoever sits at the terminal agrees. A script, for which there is none, has decided."""
    try:
        if not sys.stdin.isatty():
            return True
        return input(question).strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        print()
        return False
    except (AttributeError, ValueError):
        return True  # no standard input at all


def _print_locks(as_json):
    locks = [record for _, record in list_active_locks()]
    if as_json:
        print(_json({"version": 1, "locks": locks}, indent=2))
    else:
        _say(f"Locks in {_visible(_plain_path(_lock_folder()))}:")
        if not locks:
            print("No active locks.")
    for lock in [] if as_json else locks:
        account, since = lock["account"] or "none", _local(lock["timestamp"] or "unknown")
        print(_visible(f"{lock['name']}: PID {lock['pid']}, account {account}, since {since}, {lock['state']}"))


if __name__ == "__main__":
    sys.exit(main())
