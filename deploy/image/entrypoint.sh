#!/bin/sh
# The image's own configuration stands back where another one was handed in the way the official image takes it: by
# REGISTRY_PROXY_REMOTEURL, or as a file at one of its two places.
set -eu

own=/usr/share/entrepot
if [ -z "${ENTREPOT_CONFIG:-}${REGISTRY_CONFIGURATION_PATH:-}" ] && cmp -s /etc/entrepot/config.yml "$own/config.yml"; then
  if [ -n "${REGISTRY_PROXY_REMOTEURL:-}" ]; then
    export ENTREPOT_CONFIG="$own/proxy.yml"
  fi
  for file in /etc/docker/registry/config.yml /etc/distribution/config.yml; do
    if [ -e "$file" ]; then
      export ENTREPOT_CONFIG="$file"
    fi
  done
fi
exec entrepot "$@"
