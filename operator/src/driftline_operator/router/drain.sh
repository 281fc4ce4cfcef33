#!/bin/bash
# Lets clients go before the router does.
#
# A router that fails its own health check asks each client to close its connection with the
# next response, and the client's next connection reaches another router: this pod's address is
# leaving the Services meanwhile. Then what is still under way may finish.
#
# Usage: drain.sh ADMIN_PORT SETTLE_SECONDS FINISH_SECONDS
set -u

readonly port="$1" settle="$2" finish="$3"

admin() {
  exec 3<>"/dev/tcp/127.0.0.1/${port}" || return 1
  printf '%s %s HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' \
    "$1" "$2" >&3
  cat <&3
  exec 3>&-
}

is_busy() {
  admin GET '/stats?filter=^http.models.downstream_rq_active$' | grep -q 'active: [1-9]'
}

admin POST /healthcheck/fail >/dev/null
sleep "${settle}"
for ((second = 0; second < finish; second++)); do
  is_busy || break
  sleep 1
done
