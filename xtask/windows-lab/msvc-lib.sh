#!/usr/bin/env bash
# Stands in for MSVC's lib.exe, `lib -out:FILE OBJECT...`, where programs are checked and never
# linked: makes an empty archive.
set -euo pipefail
for word; do
  if [[ $word == -out:* ]]; then : >"${word#-out:}"; fi
done
