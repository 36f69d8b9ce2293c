#!/bin/sh
# Installs the real peers that the tests talk to: Orthanc and the programs of DCMTK from Debian; from npm, into the
# virtual environment, what npm/package.json names. Does nothing where they are.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..

missing=""
[ -x /usr/sbin/Orthanc ] || missing="$missing orthanc"
for program in dcmprscp dcmqridx dcmqrscp echoscu findscu getscu movescu storescp storescu; do
    [ -x "/usr/bin/$program" ] || { missing="$missing dcmtk"; break; }
done
command -v npm >/dev/null 2>&1 || missing="$missing nodejs npm"
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086  # a list of package names
    "$root/.ci/apt-install" $missing
fi

# The tests start an Orthanc of their own; the package's service would start with the machine.
case "$missing" in
*orthanc*)
    if command -v systemctl >/dev/null 2>&1; then
        if [ "$(id -u)" -eq 0 ]; then systemctl --quiet disable orthanc; else sudo -n systemctl --quiet disable orthanc; fi || echo "the service orthanc could not be disabled" >&2
    fi
    ;;
esac

# The lock file pins every package; the copy tells whether they are the installed ones.
peers=$root/.venv/peers
if ! cmp -s "$here/npm/package-lock.json" "$peers/installed-lock.json"; then
    mkdir -p "$peers"
    cp "$here/npm/package.json" "$here/npm/package-lock.json" "$peers/"
    npm ci --prefix "$peers" --ignore-scripts --no-fund --no-audit --silent
    cp "$here/npm/package-lock.json" "$peers/installed-lock.json"
fi
