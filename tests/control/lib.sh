# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests on a bus of their own share: the bus, the plugin's object (tests/control/host.cpp), and
# checks. Where a test runs as root the bus is as strict as a system bus, with our policy files in it;
# else it lets everybody do everything. A test ends with `finish`.
# In the environment: CONTROL_HOST, BALLASTCTL.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
for tool in dbus-daemon gdbus jq setpriv; do
  command -v "$tool" >/dev/null || { echo "no $tool: ci/deps check" && exit 77; }
done
[[ -x $CONTROL_HOST && -x $BALLASTCTL ]] || { echo "CONTROL_HOST and BALLASTCTL are to be programs" && exit 2; }

scratch=$(mktemp -d)
chmod 755 "$scratch" # nobody comes to the bus, too
children=()
leave() {
  ((${#children[@]} == 0)) || kill "${children[@]}" 2>/dev/null
  wait
  rm -rf "$scratch"
}
trap leave EXIT

failures=0 checks=0
fail() {
  failures=$((failures + 1))
  printf 'not ok: %s\n' "$@"
}
is() { # GOT WANT WHAT
  checks=$((checks + 1))
  [[ $1 == "$2" ]] || fail "$3" "  got:  $1" "  want: $2"
}
like() { # TEXT REGEX WHAT
  checks=$((checks + 1))
  grep -qE -- "$2" <<<"$1" || fail "$3" "  no match for: $2" "  in: $1"
}
wait_for() { # WHAT COMMAND…
  local what=$1 tries
  shift
  for ((tries = 0; tries < 400; tries++)); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.05
  done
  echo "waited in vain for $what"
  exit 1
}

# --- the bus ---
strict='<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/>
  <allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
  <allow send_requested_reply="true" send_type="error"/><allow receive_type="*"/>
  <allow send_destination="org.freedesktop.DBus"/></policy>'
lax='<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
  <allow receive_type="*"/></policy>'
start_bus() { # NAME POLICY INCLUDE
  cat >"$scratch/$1.conf" <<EOF
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=$scratch/$1</listen><auth>EXTERNAL</auth>$2$3</busconfig>
EOF
  dbus-daemon --config-file="$scratch/$1.conf" --nofork --nopidfile &
  children+=($!)
  wait_for "the bus" test -S "$scratch/$1"
}
# What Debian's tcmu-runner brings, and is read after ours: everybody may ask the daemon.
daemons='<policy user="root"><allow own="org.kernel.TCMUService1"/></policy>
  <policy context="default"><allow send_destination="org.kernel.TCMUService1"/></policy>'
policy=$root/targetcli-config/dbus/org.ballast.Ballast1.conf
if ((EUID == 0)); then start_bus bus "$strict" "<include>$policy</include>$daemons"; else start_bus bus "$lax" ""; fi

start_host() { # LUN…
  "$CONTROL_HOST" "$scratch/fault" "$@" >"$scratch/host.log" 2>&1 &
  host=$!
  children+=("$host")
  wait_for "the plugin's bus name" "$BALLASTCTL" list
}
stop_host() {
  kill "$host"
  wait "$host" 2>/dev/null
}

finish() {
  echo "$checks checks, $failures failed"
  ((failures == 0))
}
