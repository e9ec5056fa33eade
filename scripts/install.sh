#!/bin/sh
# Puts the tools and the scripts beside a MASTER_CONFIG.json, and takes them away again:
#
#   ./install.sh FOLDER               FOLDER is the one with MASTER_CONFIG.json
#   ./install.sh --uninstall FOLDER
#
# Replaced files are kept in FOLDER/qc-backup, and --uninstall puts it back. So are SAFE_SHUTDOWN.py and
# MASTER_LAUNCH.py: the old shutdown beside the new launcher ends processes that are started again at
# once. A file that was changed after it had been installed is kept as NAME.changed. Stop the fleet
# first. Run again to upgrade.
set -eu

die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,/^set /p' "$0" | sed '$d;s/^# \{0,1\}//' >&2; exit 2; }

uninstall=
if [ "${1-}" = --uninstall ]; then uninstall=1; shift; fi
[ $# -eq 1 ] || usage
case $1 in -*) usage ;; *MASTER_CONFIG.json) folder=$(dirname -- "$1") ;; *) folder=$1 ;; esac
[ -f "$folder/MASTER_CONFIG.json" ] ||
  die "there is no MASTER_CONFIG.json in $folder. Name the folder that has it, or write one with \`qc-launch init\`."
folder=$(cd -- "$folder" && pwd)
backup=$folder/qc-backup
list=$backup/installed.txt # what --uninstall takes away, as sha256sum writes it

old_scripts='SAFE_SHUTDOWN.py MASTER_LAUNCH.py' # what is moved aside

sum() { sha256sum <"$1" | cut -d' ' -f1; }
was_installed() { [ -f "$list" ] && grep -q "^[0-9a-f]*  $1\$" "$list"; }

# Each file is either old or new at any moment, even after an interruption.
place() {
  cp -p -- "$1" "$2.qc-new"
  mv -f -- "$2.qc-new" "$2"
}

keep_if_changed() { # the file NAME, if it is not as it was installed
  [ -f "$folder/$1" ] || return 0
  if ! grep -q "^$(sum "$folder/$1")  $1\$" "$list"; then
    mv -f -- "$folder/$1" "$folder/$1.changed"
    echo "kept your changes of $1 as $1.changed"
  fi
}

if [ "$uninstall" ]; then
  [ -f "$list" ] || die "nothing is installed in $folder; there is no $list."
  while read -r _ name; do
    if cmp -s -- "$backup/$name" "$folder/$name"; then continue; fi
    keep_if_changed "$name"
    if [ -f "$backup/$name" ]; then place "$backup/$name" "$folder/$name"; else rm -f -- "$folder/$name"; fi
  done <"$list"
  # Only now, so that an interrupted run can begin again.
  while read -r _ name; do rm -f -- "$backup/$name"; done <"$list"
  rm -- "$list"
  rmdir -- "$backup" 2>/dev/null || echo "left $backup, as there are other files in it"
  echo "Removed from $folder; what was there before is back."
  exit
fi

here=$(cd -- "$(dirname -- "$0")" && pwd)
[ -d "$here/bin" ] && [ -f "$here/SHA256SUMS" ] || die "run it from the unpacked archive; $here is not one."
(cd -- "$here" && sha256sum --quiet --check SHA256SUMS) >&2 ||
  die "a file differs from SHA256SUMS, see above. Unpack the archive again."
for file in "$here"/bin/* "$here"/scripts/*; do
  name=$(basename -- "$file")
  [ ! -e "$folder/$name" ] || [ -f "$folder/$name" ] || die "$folder/$name is no file. Move it away."
done

for name in $old_scripts; do
  [ ! -e "$folder/$name" ] || [ -f "$folder/$name" ] || die "$folder/$name is no file. Move it away."
done

mkdir -p -- "$backup"
for name in $old_scripts; do
  [ -f "$folder/$name" ] || continue
  if was_installed "$name"; then
    # It was put there again since: the first one stays the one that --uninstall brings back.
    if ! cmp -s -- "$backup/$name" "$folder/$name"; then mv -f -- "$folder/$name" "$folder/$name.changed"; fi
  else
    place "$folder/$name" "$backup/$name"
    if [ -f "$list" ]; then cat -- "$list" >"$list.new"; else : >"$list.new"; fi
    printf '%s  %s\n' "$(sum "$folder/$name")" "$name" >>"$list.new"
    mv -f -- "$list.new" "$list"
  fi
  rm -f -- "$folder/$name"
  echo "moved the old $name aside"
done
for file in "$here"/bin/* "$here"/scripts/*; do
  name=$(basename -- "$file")
  if was_installed "$name"; then
    # One that is being installed for the second time after a stop is as it will be.
    cmp -s -- "$file" "$folder/$name" || keep_if_changed "$name"
    grep -v "^[0-9a-f]*  $name\$" "$list" >"$list.new" || true
  else
    if [ -f "$folder/$name" ]; then place "$folder/$name" "$backup/$name"; fi
    if [ -f "$list" ]; then cat -- "$list" >"$list.new"; else : >"$list.new"; fi
  fi
  printf '%s  %s\n' "$(sum "$file")" "$name" >>"$list.new"
  mv -f -- "$list.new" "$list"
  place "$file" "$folder/$name"
done
echo "Installed in $folder. What was replaced is in $backup."
echo "Next: ./qc-launch check (on Windows: qc-launch.exe check)"
