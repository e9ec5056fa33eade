#!/usr/bin/env bash
# Sets up the Windows lab on Debian: a toolchain that builds Rust for
# x86_64-pc-windows-gnu, and a headless Wine prefix that runs the results.
#
#   setup.sh            install what is missing, build what is stale, verify
#   setup.sh --check    only verify
#   setup.sh --msvc     in addition what checks programs for x86_64-pc-windows-msvc (no linker, no run)
#   setup.sh --clean    end the lab's programs and delete the lab
#
# Safe to run again: what is already there, and matches the installed packages, is left alone.
#
#   QC_LAB_DIR      folder of the lab (default: ~/.cache/qc-windows-lab)
#   QC_WINEPREFIX   Wine prefix       (default: $QC_LAB_DIR/wine)
#   QC_LAB_NO_APT   1: install no packages, say which are missing
set -euo pipefail

TARGET=x86_64-pc-windows-gnu
MSVC=x86_64-pc-windows-msvc
HOST=x86_64-unknown-linux-gnu
LAB=${QC_LAB_DIR:-$HOME/.cache/qc-windows-lab}
PREFIX=${QC_WINEPREFIX:-$LAB/wine}
SELF=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PACKAGES=(gcc-mingw-w64-x86-64 rustc-web cargo-web rust-web-src rust-web-clippy wine64 wine xvfb)
ELSEWHERE="On Windows no lab is needed: run \`cargo test --workspace\`."

# A rustup toolchain, or the caller's flags, must not leak into the lab's toolchain.
unset RUSTC RUSTDOC RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER RUSTUP_TOOLCHAIN RUSTFLAGS CARGO \
      CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET CARGO_TARGET_DIR SYSROOT LD_LIBRARY_PATH DISPLAY
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export WINEPREFIX=$PREFIX WINEARCH=win64 WINEDEBUG=-all
export WINEDLLOVERRIDES='mscoree,mshtml=;winemenubuilder.exe=d'

say() { printf 'windows-lab: %s\n' "$*"; }
die() { printf 'windows-lab: %s\n' "$*" >&2; exit 1; }

missing_packages() {
  local package missing=()
  for package in "${PACKAGES[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  echo "${missing[*]-}"
}

require_debian() {
  [[ $(uname -sm) == 'Linux x86_64' && -x /usr/bin/apt-get && -x /usr/bin/dpkg-query ]] ||
    die "the lab needs Debian on x86_64, with apt, and these packages: ${PACKAGES[*]}. $ELSEWHERE"
}

install_packages() {
  local missing sudo=
  missing=$(missing_packages)
  if [[ -z $missing ]]; then say "packages are installed"; return; fi
  if [[ $EUID -ne 0 ]]; then sudo=$(command -v sudo) || QC_LAB_NO_APT=1; fi
  [[ ${QC_LAB_NO_APT:-0} != 1 ]] ||
    die "these packages are missing: $missing. Install them as root with \`apt-get install\`. $ELSEWHERE"
  say "installing $missing (1.9 GiB with what they need)"
  # shellcheck disable=SC2086 # both are lists of words
  { $sudo apt-get update -qq &&
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
  } >/dev/null || die "apt-get could not install $missing. See its message above; Debian 12 has them all. $ELSEWHERE"
}

# What the compiled std depends on.
stamp() {
  /usr/bin/rustc -vV
  dpkg-query -W -f='${Package} ${Version}\n' rust-web-src gcc-mingw-w64-x86-64
  echo layout-1
}

toolchain_is_current() { [[ -f $LAB/toolchain/stamp && $(<"$LAB/toolchain/stamp") == "$(stamp)" ]]; }

# Debian's compiler has no std for Windows. It is compiled once, into a sysroot beside links to the
# compiler's own libraries, so that later builds need neither -Zbuild-std nor RUSTC_BOOTSTRAP.
build_toolchain() {
  local tools=$LAB/toolchain name
  if toolchain_is_current; then say "the toolchain is current"; return; fi
  rm -rf "$tools"
  mkdir -p "$tools/bin" "$tools/lib/rustlib"
  for name in "$HOST" src etc; do ln -s "/usr/lib/rustlib/$name" "$tools/lib/rustlib/$name"; done
  ln -s /usr/bin/cargo "$tools/bin/cargo"
  compile_std "$TARGET"
  stamp >"$tools/stamp"
}

# Puts std for a target, compiled from the compiler's own sources, into the sysroot.
compile_std() {
  local target=$1 work=$LAB/std-build compiler sources flags
  compiler=$(dpkg-query -W -f='${Version}' rustc-web)
  sources=$(dpkg-query -W -f='${Version}' rust-web-src)
  [[ $compiler == "$sources" ]] ||
    die "rustc-web is $compiler but rust-web-src is $sources. Upgrade both with \`apt-get upgrade\`."
  say "compiling std for $target (a minute or two, once)"
  rm -rf "$work"
  mkdir -p "$work/src" "$LAB/toolchain/lib/rustlib/$target/lib"
  echo '#![no_std]' >"$work/src/lib.rs"
  printf '%s\n' '[package]' 'name = "stdseed"' 'version = "0.0.0"' 'edition = "2021"' '[workspace]' \
    >"$work/Cargo.toml"
  # Programs must not tell whose folders std was compiled in.
  flags=$(printf '%s\x1f' -Cembed-bitcode=yes "--remap-path-prefix=$work=/std" \
    "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo")
  (cd "$work" && RUSTC_BOOTSTRAP=1 CARGO_ENCODED_RUSTFLAGS=${flags%$'\x1f'} /usr/bin/cargo build \
    --release --quiet --target "$target" -Zbuild-std=std,panic_unwind,panic_abort,test,proc_macro) ||
    die "std could not be compiled. See the message above; upgrade the packages and run setup again."
  find "$work/target/$target/release/deps" -name '*.rlib' ! -name 'libstdseed-*' \
    -exec cp -t "$LAB/toolchain/lib/rustlib/$target/lib" {} +
  rm -rf "$work"
}

# Goes away with the toolchain, so it is never older.
add_msvc() {
  if [[ -f $LAB/toolchain/msvc ]]; then say "std for $MSVC is there"; return; fi
  compile_std "$MSVC"
  touch "$LAB/toolchain/msvc"
}

# The compiler, told where std is. Not with sh: dash drops CARGO_BIN_EXE_some-name, as no variable
# of its own could have a dash.
write_wrappers() {
  local tools=$LAB/toolchain name
  for name in rustc rustdoc clippy-driver; do
    write_wrapper "$name" "exec /usr/bin/$name --sysroot=$(printf %q "$tools") \"\$@\""
  done
  # cargo-clippy starts the clippy-driver beside itself, which learns the sysroot from SYSROOT.
  write_wrapper cargo-clippy "SYSROOT=$(printf %q "$tools") exec /usr/bin/cargo-clippy \"\$@\""
}

# Leaves the file alone where it is right already, as a build may be using it.
write_wrapper() {
  local file=$LAB/toolchain/bin/$1 text
  text=$(printf '#!/bin/bash\n%s' "$2")
  if [[ -f $file && $(<"$file") == "$text" ]]; then return; fi
  printf '%s\n' "$text" >"$file.new"
  chmod +x "$file.new"
  mv "$file.new" "$file"
}

build_prefix() {
  if [[ -f $PREFIX/.qc-ready-1 ]]; then say "the Wine prefix is there"; else
    say "creating the Wine prefix"
    mkdir -p "$PREFIX"
    wineboot --init >/dev/null 2>&1 </dev/null || die "wineboot failed. Delete $PREFIX and run setup again."
    # Told Windows 8.1 or later, the sysinfo crate asks for command lines in a way Wine 8 does not know.
    /usr/lib/wine/wine64 reg add 'HKCU\Software\Wine' /v Version /d win7 /f >/dev/null 2>&1 </dev/null ||
      die "the Windows version could not be set. Delete $PREFIX and run setup again."
    /usr/lib/wine/wineserver64 -w
    touch "$PREFIX/.qc-ready-1"
  fi
  [[ -f $PREFIX/.qc-shim-1 ]] || build_shim
}

# Every Rust program imports ProcessPrng from bcryptprimitives.dll, which Wine 8 lacks.
build_shim() {
  local dll=$PREFIX/drive_c/windows/system32/bcryptprimitives.dll
  x86_64-w64-mingw32-gcc -O2 -s -shared -static-libgcc -o "$dll" -x c - -ladvapi32 <<'C'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length); /* RtlGenRandom */
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
    while (size) {
        ULONG part = size > 0x40000000 ? 0x40000000 : (ULONG)size;
        if (!SystemFunction036(data, part)) return FALSE;
        data += part; size -= part;
    }
    return TRUE;
}
C
  touch "$PREFIX/.qc-shim-1"
}

# Builds a program and runs it.
verify() {
  local dir out missing
  missing=$(missing_packages)
  [[ -z $missing ]] || die "these packages are missing: $missing. Run \`cargo xtask windows setup\`. $ELSEWHERE"
  toolchain_is_current && [[ -f $PREFIX/.qc-ready-1 ]] ||
    die "the lab in $LAB is missing or out of date. Run \`cargo xtask windows setup\`."
  dir=$(mktemp -d)
  cat >"$dir/hello.rs" <<'RS'
fn main() {
    let set = std::collections::HashSet::from([std::env::consts::OS]); // Seeded by ProcessPrng.
    print!("{set:?} {}", std::panic::catch_unwind(|| panic!()).is_err());
}
RS
  "$LAB/toolchain/bin/rustc" --target "$TARGET" --edition 2021 -Clinker=x86_64-w64-mingw32-gcc \
    -o "$dir/hello.exe" "$dir/hello.rs" ||
    die "a small program does not build. Run \`setup.sh --clean\`, then \`cargo xtask windows setup\`."
  out=$(timeout 120 "$SELF/wine-run.sh" "$dir/hello.exe" 2>/dev/null </dev/null) || true
  rm -rf "$dir"
  [[ $out == '{"windows"} true' ]] ||
    die "a small program printed '$out'. Run \`setup.sh --clean\`, then \`cargo xtask windows setup\`."
  say "ready: $(/usr/bin/rustc -V | cut -d' ' -f1,2), $(/usr/lib/wine/wine64 --version), lab in $LAB"
}

case ${1:-} in
  '' | --msvc)
    require_debian
    install_packages
    mkdir -p "$LAB"
    # Two setups at once would trample each other. No program may inherit the lock.
    exec 9>"$LAB/.setup.lock"
    flock 9
    build_toolchain 9>&-
    write_wrappers
    if [[ ${1:-} == --msvc ]]; then add_msvc 9>&-; fi
    build_prefix 9>&-
    verify 9>&- ;;
  --check) require_debian; verify ;;
  --clean)
    # Only what this script has made.
    [[ ! -e $PREFIX || -f $PREFIX/.qc-ready-1 ]] || die "$PREFIX is no prefix of the lab; delete it yourself"
    [[ ! -e $LAB || -f $LAB/.setup.lock ]] || die "$LAB is no lab; delete it yourself"
    if [[ -d $PREFIX ]]; then /usr/lib/wine/wineserver64 -k 2>/dev/null || true; fi
    rm -rf "$LAB" "$PREFIX" ;;
  *) sed -n '2,/^set /p' "$0" | sed '$d;s/^# \{0,1\}//' >&2; exit 2 ;;
esac
