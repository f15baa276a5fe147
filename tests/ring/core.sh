# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Shared by core_test and core_sweep: a host that dies, and the core file that it leaves.
# Before, `scratch` names a folder. usage: source core.sh

# start_host ARGUMENT…: starts core_host with the plugin that install installs, which has no
# symbols. Sets `host`. Returns 77 if the host cannot do it on this machine. Ends the test if it is
# not ready in time.
start_host() {
  local tries status
  : >"$scratch/said"
  (cd "$scratch" && ulimit -c unlimited && export TMPDIR=$scratch && BALLAST_PLUGIN=$scratch/handler_ballast.so exec "$CORE_HOST" "$@") \
    >"$scratch/said" 2>"$scratch/host.log" &
  host=$!
  for ((tries = 0; tries < 1200; tries++)); do
    grep -qx ready "$scratch/said" && return
    kill -0 "$host" 2>/dev/null || break
    sleep 0.05
  done
  wait "$host"
  status=$?
  host=
  ((status != 77)) || return 77
  echo "the host is not ready:"
  cat "$scratch/host.log"
  exit 1
}

# crash: kills the host with SIGSEGV. Sets `core`; empty: this machine leaves core files elsewhere.
crash() {
  local tries
  kill -SEGV "$host"
  wait "$host" 2>/dev/null
  core=$(find "$scratch" -maxdepth 1 -name 'core*' -type f | head -n 1)
}
