"""Names and accounts of all the types that bots use.

    values.py ACCOUNT
"""

import enum
import json
import sys
from decimal import Decimal
from fractions import Fraction


from process_lock import LockNameError, ProcessLock


class Int64:
    """As numpy's: no int, but it can be an index."""

    itemsize = 8

    def __index__(self):
        return 1234567

    def __repr__(self):
        return "np.int64(1234567)"


class Float32:
    """As numpy's: no float, but it has a value."""

    itemsize = 4

    def __init__(self, value):
        self.value = float(value)

    def __float__(self):
        return self.value

    def __int__(self):
        return int(self.value)

    def __eq__(self, other):
        return self.value == other


class Float64(float):
    itemsize = 8

    def __repr__(self):
        return f"np.float64({float(self)})"

    __str__ = __repr__


class bool_:
    """As numpy's old truth."""

    def __index__(self):
        return 1


class Names(str, enum.Enum):
    ATLAS = "BRAIN_DROPIN"


class Accounts(str, enum.Enum):
    LIVE = "01234567"


class Numbers(enum.IntEnum):
    LIVE = 1234567


def account_of(value):
    return ProcessLock("BRAIN_DROPIN", value).account


SAME = (
    1234567, 1234567.0, "1234567", "1234567.", Int64(), Float32(1234567), Float64(1234567), Decimal("1234567"),
    Decimal("1.234567E+6"), Fraction(1234567), Accounts.LIVE, Numbers.LIVE,
    "\u0967\u0968\u0969\u096a\u096b\u096c\u096d", "\uff11\u0662\u06f3\u0e54567")
for value in SAME:
    assert account_of(value) == "1234567", repr(value)
assert account_of(1.2e14) == "120000000000000"
assert account_of(2**60) == str(2**60) and account_of(Decimal(2**60)) == str(2**60)

WRONG = (
    True, False, bool_(), b"1234567", bytearray(b"7"), memoryview(b"7"), float("nan"), float("inf"), 1.5, 2.0**53,
    Float32(2**24), Float32(1.5), Decimal("NaN"), Decimal("sNaN"), Decimal("1.5"), Decimal("Infinity"),
    Fraction(1, 2), 7j, [7], object(), "1 234", "1,234", "1_234", "1\u2009234", "1\u202f234", "1.2e14",
    "\udc80", "a\ud800")
for value in WRONG:
    try:
        account_of(value)
    except LockNameError as error:
        str(error).encode()
    else:
        raise AssertionError(repr(value))
try:
    account_of("1 234\u2009567.00")
except LockNameError as error:
    assert "'1234567'" in str(error), error

for value in (b"BRAIN_DROPIN", None, 7, "\udc80", "BRAIN\ud800", "BRAIN DROPIN", ["BRAIN_DROPIN"]):
    try:
        ProcessLock(value)
    except LockNameError as error:
        str(error).encode()
    else:
        raise AssertionError(repr(value))

for use in ({"paper": "no"}, {"shared_account": 1}, {"paper": True, "shared_account": True}):
    try:
        ProcessLock("BRAIN_DROPIN", sys.argv[1], **use)
    except LockNameError:
        continue
    raise AssertionError(use)

lock = ProcessLock(Names.ATLAS, sys.argv[1])
assert type(lock.name) is str and lock.name == "BRAIN_DROPIN"
assert lock.lock_file.name == "BRAIN_DROPIN.lock"
with lock:
    with open(lock.lock_file, encoding="utf-8") as file:
        assert json.load(file)["name"] == "BRAIN_DROPIN"
    assert lock.get_lock_info()["name"] == "BRAIN_DROPIN"
