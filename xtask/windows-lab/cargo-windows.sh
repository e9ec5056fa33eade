#!/usr/bin/env bash
# cargo for Windows, in the lab that setup.sh made:
#
#   cargo-windows.sh build|check|clippy|test|run|nextest|doc ... [cargo's own options]
#   cargo-windows.sh stop    end every program still running in the Wine prefix
#
# Adds the target, the compiler and linker, Wine as the runner, and a target folder of its own.
#
#   QC_LAB_DIR, QC_WINEPREFIX   as in setup.sh
#   QC_TARGET_DIR               target folder (default: target/windows in the workspace)
#   QC_TARGET                   the target (default: x86_64-pc-windows-gnu); another can only be checked
#   QC_KEEP_WINE                1: after test, run and nextest let leftover programs run on
set -euo pipefail

export QC_LAB_DIR=${QC_LAB_DIR:-$HOME/.cache/qc-windows-lab}
export QC_WINEPREFIX=${QC_WINEPREFIX:-$QC_LAB_DIR/wine}
SELF=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOOLS=$QC_LAB_DIR/toolchain

stop() { WINEPREFIX=$QC_WINEPREFIX WINEDEBUG=-all /usr/lib/wine/wineserver64 -k 2>/dev/null || true; }

(($#)) || { sed -n '2,/^set /p' "$0" | sed '$d;s/^# \{0,1\}//' >&2; exit 2; }
if [[ ! -f $TOOLS/stamp || ! -f $QC_WINEPREFIX/.qc-ready-1 ]]; then
  echo "cargo-windows: there is no lab yet. Run \`cargo xtask windows setup\`." >&2
  exit 127
fi
command=$1
shift
if [[ $command == stop ]]; then stop; exit; fi

# Only the lab's toolchain: no rustup, no wrappers, no libraries of the calling cargo.
unset RUSTUP_TOOLCHAIN RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER CARGO_TARGET_DIR CARGO_BUILD_TARGET LD_LIBRARY_PATH
# The runner is found on PATH, as cargo would split a path with spaces.
export PATH=$TOOLS/bin:$SELF:/usr/local/bin:/usr/bin:/bin
export CARGO=/usr/bin/cargo RUSTC=$TOOLS/bin/rustc RUSTDOC=$TOOLS/bin/rustdoc
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine-run.sh
export CC_x86_64_pc_windows_gnu=x86_64-w64-mingw32-gcc AR_x86_64_pc_windows_gnu=x86_64-w64-mingw32-ar
# For a target that is only checked any compiler does, and an archiver that makes empty archives.
export CC_x86_64_pc_windows_msvc=x86_64-w64-mingw32-gcc AR_x86_64_pc_windows_msvc=msvc-lib.sh
workspace=$(cargo locate-project --workspace --message-format plain)
export CARGO_TARGET_DIR=${QC_TARGET_DIR:-$(dirname "$workspace")/target/windows}
export CARGO_BUILD_TARGET=${QC_TARGET:-x86_64-pc-windows-gnu}

case $command in
  # `cargo clippy` would start the cargo-clippy of rustup.
  clippy) exec "$TOOLS/bin/cargo-clippy" clippy "$@" ;;
  test | run | bench | nextest)
    # Held shared while the prefix is in use. No program may inherit it.
    exec 8>"$QC_WINEPREFIX/.qc-users.lock"
    # A desktop keeps the display that it began with, or none.
    if flock -n -x 8; then stop; fi
    flock -s 8
    code=0
    if [[ $command == nextest ]]; then cargo-nextest nextest "$@" 8>&- || code=$?; else
      cargo "$command" "$@" 8>&- || code=$?
    fi
    # Programs that a test left behind hold files and locks; but another run may use the prefix.
    if [[ ${QC_KEEP_WINE:-0} != 1 ]] && flock -n -x 8; then stop; fi
    exit "$code" ;;
  *) exec cargo "$command" "$@" ;;
esac
