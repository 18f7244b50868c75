#!/usr/bin/env bash
# Installs what tests use beside Python packages: a Java, Maven (for the jars of Apache Kafka),
# Prometheus, Alertmanager, kcat, faketime and a Chromium. Only under CI=true or as root; anyone else
# is told the one command that does it.
set -euo pipefail

missing=()
command -v java >/dev/null || missing+=(default-jre-headless)
command -v mvn >/dev/null || missing+=(maven)
command -v prometheus >/dev/null || missing+=(prometheus)
command -v amtool >/dev/null || missing+=(prometheus-alertmanager)
command -v faketime >/dev/null || missing+=(faketime)
command -v kcat >/dev/null || missing+=(kcat)
command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
  || command -v google-chrome >/dev/null || missing+=(chromium)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] && [ "${CI:-}" != true ]; then
  echo "not installed: ${missing[*]}; to test with them: sudo apt-get install -y --no-install-recommends ${missing[*]}"
  exit 0
fi
command -v apt-get >/dev/null || { echo "cannot install ${missing[*]}: no apt-get here" >&2; exit 1; }
as_root=(); [ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing ${missing[*]} ..."
"${as_root[@]}" apt-get update -qq
# Debian starts both as services of its own; tests start theirs on a free port.
printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee /usr/sbin/policy-rc.d >/dev/null
"${as_root[@]}" chmod +x /usr/sbin/policy-rc.d
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
"${as_root[@]}" rm -f /usr/sbin/policy-rc.d
