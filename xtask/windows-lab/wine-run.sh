#!/usr/bin/env bash
# Runs a Windows program in the lab that setup.sh made, without a display:
#
#   wine-run.sh PROGRAM.exe [ARGS...]
#
#   QC_LAB_DIR, QC_WINEPREFIX   as in setup.sh
#   QC_WINE_DISPLAY             an X display, for programs with windows
#   QC_WINEDEBUG                Wine's debug channels (default: -all)
export WINEPREFIX=${QC_WINEPREFIX:-${QC_LAB_DIR:-$HOME/.cache/qc-windows-lab}/wine}
export WINEARCH=win64 WINEDEBUG=${QC_WINEDEBUG:--all}
export WINEDLLOVERRIDES='mscoree,mshtml=;winemenubuilder.exe=d'
# Not `wine`, which prints a hint about 32-bit programs.
export WINELOADER=/usr/lib/wine/wine64
unset DISPLAY WAYLAND_DISPLAY LD_LIBRARY_PATH
if [[ -n ${QC_WINE_DISPLAY:-} ]]; then export DISPLAY=$QC_WINE_DISPLAY; fi
if [[ ! -f $WINEPREFIX/.qc-ready-1 ]]; then
  echo "wine-run: there is no lab yet. Run \`cargo xtask windows setup\`." >&2
  exit 127
fi
# The first program in an idle prefix starts Wine's services, which inherit its standard streams:
# whoever reads its output to the end would wait for the services. So they are started here.
# `wineserver -p` succeeds only where no server was running.
(
  flock 9
  if /usr/lib/wine/wineserver64 -p120 </dev/null >/dev/null 2>&1 9>&-; then
    "$WINELOADER" cmd /c exit </dev/null >/dev/null 2>&1 9>&-
    # Likewise the desktop, which the first program that looks at windows would start.
    "$WINELOADER" explorer.exe /desktop </dev/null >/dev/null 2>&1 9>&- &
  fi
) 9>"$WINEPREFIX/.qc-boot.lock"
exec "$WINELOADER" "$@"
