#!/usr/bin/env bash
# Builds packhouse.exe for 64-bit Windows on Debian 12; the last line it prints is the file's path.
#
#   packaging/windows/build.sh [--profile NAME] [--features LIST] [--out PATH]
#
# Defaults: profile `release`, no features, target/windows/packhouse.exe. Run it as root or with
# sudo when the cross compiler is not installed yet. Environment:
#   CARGO_TARGET_DIR         where cargo builds (default: target/ of the checkout)
#   PACKHOUSE_CACHE          where a standard library made here is kept (default: ~/.cache/packhouse)
#   PACKHOUSE_WINDOWS_STD    auto, rustup or source: see std.sh
#   PACKHOUSE_RUST_SRC_DEB   a copy of Debian's rust-src package of the compiler's version
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CHECKOUT=$(cd "$HERE/../.." && pwd)
# shellcheck source=lib.sh
. "$HERE/lib.sh"
# shellcheck source=std.sh
. "$HERE/std.sh"

profile=release
features=
out=$CHECKOUT/target/windows/packhouse.exe
while [ $# -gt 0 ]; do
    case $1 in
        --profile | --features | --out)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
                --profile) profile=$2 ;;
                --features) features=$2 ;;
                --out) out=$2 ;;
            esac
            shift 2
            ;;
        -h | --help)
            sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        *) fail "unknown option $1 (try --help)" ;;
    esac
done
case $out in /*) ;; *) out=$PWD/$out ;; esac

cd "$CHECKOUT" # rustup chooses the toolchain by the directory
need_packages gcc-mingw-w64-x86-64
use_windows_std

target_dir=${CARGO_TARGET_DIR:-$CHECKOUT/target}
mkdir -p "$target_dir"
# What was compiled against another standard library must go; cargo would link the two together.
stamp=$target_dir/$WINDOWS_TARGET/.packhouse-std
if [ -d "$target_dir/$WINDOWS_TARGET" ] && [ "$(cat "$stamp" 2>/dev/null)" != "$STD_ID" ]; then
    say "the standard library has changed: building everything for Windows anew"
    rm -rf "${target_dir:?}/$WINDOWS_TARGET"
fi
mkdir -p "$target_dir/$WINDOWS_TARGET"
printf '%s\n' "$STD_ID" >"$stamp"

# Crates with C or assembler parts look for these two; pure Rust ones need only the linker.
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=$WINDOWS_LINKER
export CC_x86_64_pc_windows_gnu=$WINDOWS_LINKER
export AR_x86_64_pc_windows_gnu=x86_64-w64-mingw32-ar
if [ -n "$RUST_BIN" ]; then
    export PATH="$RUST_BIN:$PATH" RUSTC="$RUST_BIN/rustc"
fi
say "building packhouse.exe ($profile)"
cargo build --locked --profile "$profile" --bin packhouse --target "$WINDOWS_TARGET" --target-dir "$target_dir" \
    ${features:+--features "$features"} >&2

case $profile in
    dev | test) folder=debug ;;
    bench) folder=release ;;
    *) folder=$profile ;;
esac
built=$target_dir/$WINDOWS_TARGET/$folder/packhouse.exe
[ -f "$built" ] || fail "cargo left no $built"

# The file is shipped alone: a compiler's own library among its imports would stop it from starting.
imports=$(x86_64-w64-mingw32-objdump -p "$built" | sed -n 's/^[[:space:]]*DLL Name: //p')
[ -n "$imports" ] || fail "$built imports nothing: not a Windows program"
if foreign=$(grep -i '^lib' <<<"$imports"); then
    fail "$built needs libraries that Windows does not have: $foreign"
fi

mkdir -p "$(dirname "$out")"
# Beside, then renamed: a wine that still runs the old file keeps it, and nobody sees half a file.
cp "$built" "$out.new"
mv "$out.new" "$out"
printf '%s\n' "$out"
