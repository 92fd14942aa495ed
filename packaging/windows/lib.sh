# Shell functions shared by the Windows build and the Windows test. Sourced by bash, never run.

# Everything a person reads goes to the error stream; the standard output is for results (a path).
say() { printf '%s\n' "$*" >&2; }
fail() {
    say "error: $*"
    exit 1
}

# as_root COMMAND...: runs it as root, through sudo when we are somebody else.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "'$*' must run as root and there is no sudo"
    fi
}

# need_packages PACKAGE...: installs the Debian packages that are missing; asks the network only then.
need_packages() {
    local package missing=() log
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    log=$(mktemp)
    # Another apt may be running; wait for it rather than fail.
    local options=(-qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2)
    if ! as_root apt-get "${options[@]}" update >"$log" 2>&1; then
        # One unreachable third-party source makes update fail although Debian's own lists are there.
        say "apt-get update reported problems; going on with the lists there are"
    fi
    if ! as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get "${options[@]}" install --no-install-recommends -y "${missing[@]}" >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        fail "could not install ${missing[*]}"
    fi
    rm -f "$log"
}

# What is made once and kept between builds lies here, outside the checkout.
cache_directory() {
    printf '%s\n' "${PACKHOUSE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/packhouse}"
}

# with_lock FILE SECONDS COMMAND...: one process at a time runs COMMAND (a function too). Uses
# descriptor 9, so locks do not nest; a failing COMMAND ends the script (`set -e`) and so the lock.
with_lock() {
    local file=$1 seconds=$2
    shift 2
    exec 9>"$file"
    flock -w "$seconds" 9 || fail "another process has held $file for $seconds s"
    # Closed for the command: a child that outlives us (a wine server does) must not keep the lock.
    "$@" 9>&-
    exec 9>&-
}
