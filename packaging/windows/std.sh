# Finds, or makes, a Rust standard library for Windows. Sourced by bash (after lib.sh), never run.
#
# use_windows_std sets RUST_BIN (empty, or a directory to put before PATH) and STD_ID (changes when
# the library does). It takes the first of these that is there:
#   1. the target is already part of the toolchain in use          (no network)
#   2. a toolchain made here earlier and kept in the cache         (no network)
#   3. `rustup target add`
#   4. made from the source of exactly this compiler's library, which Debian packages as rust-src
# PACKHOUSE_WINDOWS_STD=rustup takes only 1 and 3, =source only 2 and 4.

readonly WINDOWS_TARGET=x86_64-pc-windows-gnu
readonly WINDOWS_LINKER=x86_64-w64-mingw32-gcc

# toolchain_has_target SYSROOT: is the target's library complete in it? rustup names a component in
# its list last, so a library without that entry is the rest of an installation that was cut off.
toolchain_has_target() {
    local rustlib=$1/lib/rustlib
    compgen -G "$rustlib/$WINDOWS_TARGET/lib/libstd-*.rlib" >/dev/null || return 1
    [ ! -e "$rustlib/components" ] || grep -qx "rust-std-$WINDOWS_TARGET" "$rustlib/components"
}

# The library's identity: cargo does not notice when a standard library changes under it.
std_identity() {
    local lib=$1/lib/rustlib/$WINDOWS_TARGET/lib
    cat "$lib"/libcore-*.rlib "$lib"/libstd-*.rlib | sha256sum | cut -c1-16
}

# `rustup target add`, given up when nothing has begun to arrive after 20 s: a machine without a way
# out must learn so quickly. Once the download runs it may take three minutes.
add_target_with_rustup() {
    command -v rustup >/dev/null || { say "there is no rustup"; return 1; }
    local log pid seconds=0 limit=20 status=0
    log=$(mktemp)
    say "asking rustup for $WINDOWS_TARGET"
    RUSTUP_MAX_RETRIES=1 rustup target add "$WINDOWS_TARGET" >"$log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        if [ "$limit" -eq 20 ] && grep -qi downloading "$log"; then limit=180; fi
        if [ "$seconds" -ge "$limit" ]; then
            kill "$pid" 2>/dev/null || true
            say "rustup has not answered for $limit s"
            break
        fi
        sleep 1
        seconds=$((seconds + 1))
    done
    wait "$pid" || status=$?
    [ "$status" -eq 0 ] || { tail -n 3 "$log" >&2; say "rustup could not add the target"; }
    rm -f "$log"
    return "$status"
}

# check_source_package FILE VERSION: the digest where a SHA256SUMS lies beside it, then what the
# package says of itself. The standard library must be of exactly the compiler's version.
check_source_package() {
    local file=$1 version=$2 name directory found
    name=$(basename "$file")
    directory=$(dirname "$file")
    [ -f "$file" ] || fail "$file does not exist"
    if [ -f "$directory/SHA256SUMS" ]; then
        (cd "$directory" && awk -v name="$name" '{ file = $2; sub(/^\*/, "", file) } file == name' SHA256SUMS |
            sha256sum --check --strict --status) || fail "$file is not what $directory/SHA256SUMS says"
    fi
    [ "$(dpkg-deb -f "$file" Package)" = rust-src ] || fail "$file is not the Debian package rust-src"
    found=$(dpkg-deb -f "$file" Version)
    case $found in
        "$version"+* | "$version"-*) ;;
        *) fail "$file holds rust-src $found, the compiler is $version" ;;
    esac
}

# debian_archive: the address of the main Debian archive, as this machine's own apt sources name it.
debian_archive() {
    # `apt-get indextargets` reads both spellings of the sources and knows which are Debian's.
    # shellcheck disable=SC2016 # apt fills these in
    apt-get indextargets --format '$(SITE) $(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$2 == "Debian" && $3 == "Debian" { print $NF; exit }'
}

# download_source_package VERSION DIRECTORY: the file's path on standard output, nothing if it fails.
# apt works in a directory of its own: this machine's package lists and sources stay as they are.
download_source_package() {
    local version=$1 directory=$2 archive keyring suite private found
    archive=$(debian_archive)
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -n "$archive" ] || { say "this machine's apt sources name no Debian archive"; return 1; }
    [ -r "$keyring" ] || { say "$keyring is missing (package debian-archive-keyring)"; return 1; }
    private=$directory/apt
    for suite in trixie-backports testing unstable; do
        rm -rf "$private"
        mkdir -p "$private/lists/partial" "$private/cache/archives/partial"
        : >"$private/status"
        printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$archive" "$suite" >"$private/sources.list"
        local options=(
            -qq
            -o Dir::Etc::sourcelist="$private/sources.list" -o Dir::Etc::sourceparts=/dev/null
            -o Dir::State="$private" -o Dir::State::lists="$private/lists" -o Dir::State::status="$private/status"
            -o Dir::Cache="$private/cache" -o APT::Architecture=amd64 -o APT::Architectures=amd64
            # The sandbox user may not write into our temporary directory.
            -o APT::Sandbox::User=root -o Acquire::Languages=none
            -o Acquire::Retries=1 -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15
        )
        say "looking for rust-src $version in Debian $suite"
        timeout 120 apt-get "${options[@]}" update >&2 || continue
        found=$(apt-cache "${options[@]}" madison rust-src |
            awk -F '|' -v version="$version" '{ gsub(/ /, "", $2) }
                index($2, version "+") == 1 || index($2, version "-") == 1 { print $2; exit }')
        [ -n "$found" ] || continue
        say "downloading rust-src $found (45 MB)"
        (cd "$directory" && timeout 600 apt-get "${options[@]}" download "rust-src=$found" >&2) || continue
        rm -rf "$private"
        compgen -G "$directory/rust-src_*.deb" | head -n 1
        return 0
    done
    rm -rf "$private"
    return 1
}

# source_package VERSION DIRECTORY: the path of a checked rust-src package on standard output.
source_package() {
    local version=$1 directory=$2 file
    if [ -n "${PACKHOUSE_RUST_SRC_DEB:-}" ]; then
        file=$PACKHOUSE_RUST_SRC_DEB
    else
        # A copy beside the checkout saves the download.
        file=$(compgen -G "$CHECKOUT/../shared/toolchain/rust-src_${version}[+-]*.deb" | head -n 1 || true)
        [ -n "$file" ] || file=$(download_source_package "$version" "$directory") || fail "there is no Windows \
standard library for Rust $version: rustup did not give it and Debian has no rust-src of exactly this version. \
Get that package (rust-src_$version+….deb) from a Debian snapshot and set PACKHOUSE_RUST_SRC_DEB to its path, \
or use a compiler whose rust-src Debian has"
    fi
    check_source_package "$file" "$version"
    printf '%s\n' "$file"
}

# make_toolchain VERSION SYSROOT DESTINATION: a toolchain like SYSROOT with the target's library added.
make_toolchain() {
    local version=$1 sysroot=$2 destination=$3 work package library std
    ! toolchain_has_target "$destination" || return 0 # somebody else made it while we waited
    work=$(mktemp -d "$destination.XXXXXX")
    # shellcheck disable=SC2064 # the path is fixed now
    trap "rm -rf '$work'" EXIT
    package=$(source_package "$version" "$work") || exit 1
    say "making the Windows standard library for Rust $version from $(basename "$package") (about a minute)"

    # Hard links cost no space; another file system gets a copy. `-L` follows every symbolic link, so
    # that no directory of ours is really one of the real toolchain. From here on files are only
    # added in new directories and removed, never written in place: the real toolchain cannot change.
    mkdir -p "$work/toolchain/lib/rustlib"
    copy_tree() { cp -rlL "$@" 2>/dev/null ||
        cp -rL --remove-destination --preserve=mode,timestamps "$@"; }
    copy_tree "$sysroot/bin" "$work/toolchain/"
    local entry
    for entry in "$sysroot"/lib/*; do
        [ "$(basename "$entry")" = rustlib ] || copy_tree "$entry" "$work/toolchain/lib/"
    done
    copy_tree "$sysroot/lib/rustlib/x86_64-unknown-linux-gnu" "$work/toolchain/lib/rustlib/"

    library=$work/toolchain/lib/rustlib/src/rust
    mkdir -p "$library"
    dpkg-deb --fsys-tarfile "$package" |
        tar -x -C "$library" --strip-components=4 --wildcards "./usr/src/rustc-$version/library"

    # Any crate will do: cargo builds the standard library on the way to it.
    mkdir -p "$work/crate/src"
    printf 'fn main() {}\n' >"$work/crate/src/main.rs"
    printf '[package]\nname = "seed"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n' >"$work/crate/Cargo.toml"
    # The package brings the crates the library needs: no registry is asked.
    mkdir -p "$work/crate/.cargo"
    printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "%s"\n' \
        "$library/library/vendor" >"$work/crate/.cargo/config.toml"
    # Without the bitcode every later build with link-time optimisation fails. RUSTC_BOOTSTRAP opens
    # the one unstable flag this takes; the product itself is built without it.
    if ! (cd "$work/crate" && env -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET -u RUSTC_WRAPPER \
        PATH="$work/toolchain/bin:$PATH" RUSTC="$work/toolchain/bin/rustc" RUSTC_BOOTSTRAP=1 \
        RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=$WINDOWS_LINKER \
        "$work/toolchain/bin/cargo" build --quiet --release --offline -Z build-std=std,panic_unwind \
        --target "$WINDOWS_TARGET" --target-dir "$work/target" >"$work/log" 2>&1); then
        tail -n 30 "$work/log" >&2
        fail "building the Windows standard library failed"
    fi
    std=$work/toolchain/lib/rustlib/$WINDOWS_TARGET/lib
    mkdir -p "$std"
    find "$work/target/$WINDOWS_TARGET/release/deps" -name 'lib*.rlib' ! -name 'libseed-*' -exec cp {} "$std/" \;
    toolchain_has_target "$work/toolchain" || fail "the build left no standard library"
    rm -rf "$work/toolchain/lib/rustlib/src"

    # A rename: whoever looks sees a whole toolchain or none.
    mv -T "$work/toolchain" "$destination"
    rm -rf "$work"
    trap - EXIT
}

use_windows_std() {
    local mode=${PACKHOUSE_WINDOWS_STD:-auto} sysroot version cache made
    case $mode in auto | rustup | source) ;; *) fail "PACKHOUSE_WINDOWS_STD is auto, rustup or source" ;; esac
    command -v rustc >/dev/null || fail "rustc is not in PATH"
    command -v cargo >/dev/null || fail "cargo is not in PATH"
    sysroot=$(readlink -f "$(rustc --print sysroot)")
    version=$(rustc --version | cut -d ' ' -f 2)
    cache=$(cache_directory)
    made=$cache/windows-std-$version

    RUST_BIN=
    if [ "$mode" != source ] && toolchain_has_target "$sysroot"; then
        STD_ID=toolchain-$(std_identity "$sysroot")
        return
    fi
    if [ "$mode" = rustup ] || { [ "$mode" = auto ] && ! toolchain_has_target "$made"; }; then
        if add_target_with_rustup && toolchain_has_target "$sysroot"; then
            STD_ID=toolchain-$(std_identity "$sysroot")
            return
        fi
        [ "$mode" = auto ] || fail "rustup could not add $WINDOWS_TARGET"
    fi
    if ! toolchain_has_target "$made"; then
        # A distribution's compiler shares its directory with the whole system: nothing to copy there.
        case $sysroot in
            /usr | /usr/local | /) fail "the compiler in $sysroot has no $WINDOWS_TARGET library and is not a \
toolchain directory of its own; install its Windows library (Debian: libstd-rust-dev-windows) or use rustup" ;;
        esac
        mkdir -p "$cache"
        with_lock "$made.lock" 1800 make_toolchain "$version" "$sysroot" "$made"
    fi
    RUST_BIN=$made/bin
    STD_ID=made-$(std_identity "$made")
}
