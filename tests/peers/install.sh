#!/bin/sh
# Installs the real peers that the tests talk to: Orthanc and the programs of DCMTK. Does nothing where they are.
set -eu

missing=""
[ -x /usr/sbin/Orthanc ] || missing="$missing orthanc"
for program in dcmprscp dcmqridx dcmqrscp echoscu findscu getscu movescu storescp storescu; do
    [ -x "/usr/bin/$program" ] || { missing="$missing dcmtk"; break; }
done
if [ -z "$missing" ]; then
    exit 0
fi

# shellcheck disable=SC2086  # a list of package names
"$(dirname "$0")/../../.ci/apt-install" $missing

# The tests start an Orthanc of their own; the package's service would start with the machine.
case "$missing" in
*orthanc*)
    if command -v systemctl >/dev/null 2>&1; then
        if [ "$(id -u)" -eq 0 ]; then systemctl --quiet disable orthanc; else sudo -n systemctl --quiet disable orthanc; fi || echo "the service orthanc could not be disabled" >&2
    fi
    ;;
esac
