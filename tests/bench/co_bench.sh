#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The scheduler's costs, in nanoseconds (natively) and in instructions (callgrind).
# usage: tests/bench/co_bench.sh PROGRAM
set -eu
program=$1
"$program"
if ! command -v valgrind >/dev/null; then
  echo "instructions: not counted, valgrind is not installed (apt install valgrind)"
  exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for name in two_suspends spawn call mutex mutex_contended post; do
  times=$(valgrind --tool=callgrind --instr-atstart=no --log-file="$scratch/log" \
    --callgrind-out-file="$scratch/out" "$program" --count "$name")
  collected=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$scratch/log")
  if [ -z "$collected" ]; then
    echo "instructions: callgrind counted nothing; was valgrind/callgrind.h there when this was built?"
    exit 1
  fi
  printf '%-16s %8d instructions\n' "$name" $((collected / times))
done
