#!/usr/bin/env bash
# Sets up a real CPython 3.11 for Windows in the lab, and prints the path of its python.exe.
# Optional: tests use it as a realistic program to lock, list and stop.
#
# The core, as python.org built it, comes from PyPI's panda3d wheel for Windows; the library is
# Debian's; python.exe is three lines of C. It cannot write to a Linux file: give it a pipe.
#
#   QC_LAB_DIR, QC_LAB_NO_APT   as in setup.sh
set -euo pipefail

PYTHON=${QC_LAB_DIR:-$HOME/.cache/qc-windows-lab}/winpython
VERSION=1.10.16
PACKAGES=(libpython3.11-stdlib unzip python3-pip gcc-mingw-w64-x86-64)

if [[ -f $PYTHON/.ready-$VERSION ]]; then echo "$PYTHON/python.exe"; exit; fi
unset LD_LIBRARY_PATH
missing=()
for package in "${PACKAGES[@]}"; do
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
if ((${#missing[@]})); then
  sudo=
  if [[ $EUID -ne 0 ]]; then sudo=$(command -v sudo) || QC_LAB_NO_APT=1; fi
  if [[ ${QC_LAB_NO_APT:-0} == 1 ]]; then
    echo "winpython: these packages are missing: ${missing[*]}. Install them with apt-get." >&2
    exit 1
  fi
  { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
/usr/bin/python3 -m pip download -q --platform win_amd64 --python-version 3.11 --only-binary=:all: \
  --no-deps -d "$dir" "panda3d==$VERSION" >&2
rm -rf "$PYTHON"
mkdir -p "$PYTHON/DLLs"
unzip -qoj "$dir"/panda3d-*.whl deploy_libs/{python311,'lib*',sqlite3}.dll -d "$PYTHON"
unzip -qoj "$dir"/panda3d-*.whl 'deploy_libs/*.pyd' -d "$PYTHON/DLLs"
cp -r /usr/lib/python3.11 "$PYTHON/Lib"
rm -rf "$PYTHON"/Lib/{lib-dynload,test,dist-packages,EXTERNALLY-MANAGED,sitecustomize.py} "$PYTHON"/Lib/config-3.11*
cat >"$dir/python.c" <<'C'
#include <wchar.h>
__declspec(dllimport) int Py_Main(int, wchar_t **);
int wmain(int argc, wchar_t **argv) { return Py_Main(argc, argv); }
C
x86_64-w64-mingw32-gcc -municode -O2 -s -o "$PYTHON/python.exe" "$dir/python.c" "$PYTHON/python311.dll"
touch "$PYTHON/.ready-$VERSION"
echo "$PYTHON/python.exe"
