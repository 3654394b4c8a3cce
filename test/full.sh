#!/usr/bin/env bash
# Everything, nothing skipped but what says so: installs the servers and clients that the tests use (root, Debian), compiles
# those that are no packages (Go), then runs npm test, and looks whether speed was lost.
# Arguments go to vitest.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  docker-registry              # the official registry, as an upstream
  redis-server                 # the other metadata store
  docker.io iptables           # dockerd and its command line
  containerd runc              # ctr
  podman skopeo buildah        # containers/image
  tinyproxy nginx-light        # a forward proxy, a reverse proxy
  apache2-utils                # htpasswd
  strace procps                # what the process does on its way down
  ca-certificates openssl
  wrk                          # load, for the benchmark
)

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "test/full.sh installs packages: run it as root on Debian (npm test runs what is installed)" >&2
  exit 2
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
  # Debian starts what it installs. The tests start their own, on ports and in directories of their own.
  policy=/usr/sbin/policy-rc.d
  own_policy=no
  if [ ! -e "$policy" ]; then
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  if [ "$own_policy" = yes ]; then
    rm -f "$policy"
    trap - EXIT
  fi
fi

. test/go-programs.sh

# A test that is skipped because something is absent fails now: everything is there, or was said to be absent above.
ENTREPOT_REQUIRE_ALL=1 npm test -- "$@"

# What was recorded is beside what it was recorded beside, on this machine: only half of it is a loss.
npm run bench -- --smoke
