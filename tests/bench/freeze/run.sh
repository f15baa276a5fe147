#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# make bench-freeze: the storage under some LUNs of a session freezes; what becomes of them, of the
# session, and of the healthy LUN beside them? One table, on standard output.
#
#   BENCH_TARGETS    of: block fileio stock patient ballast (block stock ballast)
#   BENCH_STORES     of the kinds in tests/e2e/stores.sh: dm tags_ext4 tags_raw file fsfreeze fuse nbd … (dm),
#                    rbd_stop rbd_kill rbd_cut rbd_full (of: stock ballast)
#   BENCH_FREEZES    seconds                        (10 60 100 180; with BENCH_LONG=1 also 600)
#   BENCH_FROZEN     how many LUNs freeze           (1 2)
#   BENCH_INITIATOR  of: default tuned short        (default tuned; tuned for 180 s and more)
#   BENCH_RESUME     a results folder: cells that are whole there are not run again
#   LAB_OUT          where results go               (build/lab/freeze-<date>)
#
# Every cell starts from nothing. What a cell leaves behind may not be cleanable (threads of the
# kernel that wait for good): then its guest ends, and the next cells run in a new one.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
cd "$top" || exit 2
build=$(realpath -m "${BUILD:-$top/build}")
out=$(realpath -m "${BENCH_RESUME:-${LAB_OUT:-$build/lab/freeze-$(date +%Y%m%d-%H%M%S)}}")
mkdir -p "$out"

read -ra targets <<< "${BENCH_TARGETS:-block stock ballast}"
read -ra freezes <<< "${BENCH_FREEZES:-10 60 100 180${BENCH_LONG:+ 600}}"
read -ra frozen <<< "${BENCH_FROZEN:-1 2}"
read -ra stores <<< "${BENCH_STORES:-dm}"
# Two OSDs take 2 GiB.
[[ ${stores[*]} != *rbd* ]] || export LAB_WITH=ceph RAM=${RAM:-6144}
read -ra initiators <<< "${BENCH_INITIATOR:-default tuned}"

cells=()
for initiator in "${initiators[@]}"; do
    for n in "${frozen[@]}"; do
        for seconds in "${freezes[@]}"; do
            # What is tuned is how long an answer of BUSY is believed, which is 180 s by default.
            [[ $initiator == tuned && -z ${BENCH_INITIATOR-} ]] && ((seconds < 180)) && continue
            for store in "${stores[@]}"; do
                for target in "${targets[@]}"; do cells+=("$target-$initiator-${seconds}s-$n-$store"); done
            done
        done
    done
done

whole() { compgen -G "$out/boot*/cells/$1/done" > /dev/null; }
missing() {
    local cell
    todo=()
    for cell in "${cells[@]}"; do whole "$cell" || todo+=("$cell"); done
}
# How long cells may take: their freezes, and what is around them on a slow machine.
time_of() {
    local cell sum=600
    for cell in "$@"; do
        cell=${cell%s-*}
        sum=$((sum + ${cell##*-} + 700))
    done
    echo "$sum"
}

lab_pid=
trap 'trap - INT TERM; [[ -z $lab_pid ]] || { kill -TERM "$lab_pid"; wait "$lab_pid"; }; exit 130' INT TERM

# The lab's words as they come; a line of our own where it has none for 8 s.
relay() {
    local line begin=$SECONDS status
    while :; do
        status=0
        IFS= read -r -t 8 line || status=$?
        ((status <= 128)) || { printf '  ... guest %s: %s s\n' "$1" $((SECONDS - begin)); continue; }
        ((status == 0)) || break
        printf '%s\n' "$line"
    done
}

# A cell that cannot be done must not keep the others from being done.
give_up() { # CELL
    local cell kept=()
    echo "freeze: giving up on $1, see ${out#"$PWD"/}/boot$((boot - 1))"
    for cell in "${cells[@]}"; do [[ $cell == "$1" ]] || kept+=("$cell"); done
    cells=("${kept[@]}")
    given_up+=("$1")
}

missing
echo "freeze: ${#cells[@]} cells, ${#todo[@]} to run; results in ${out#"$PWD"/}"
boot=0 fruitless=0 given_up=()
while [[ -d $out/boot$boot ]]; do boot=$((boot + 1)); done
while ((${#todo[@]})); do
    had=${#todo[@]}
    # The lab is the job, so that a signal reaches it.
    BUILD=$build LAB_OUT=$out/boot$boot LAB_TIMEOUT=$(time_of "${todo[@]}") ci/lab exec \
        tests/bench/freeze/guest.sh "${todo[@]}" > >(relay "$boot") 2>&1 &
    lab_pid=$!
    wait "$lab_pid"
    lab_pid=
    boot=$((boot + 1))
    missing
    if ((${#todo[@]} < had)); then fruitless=0; else fruitless=$((fruitless + 1)); fi
    ((fruitless < 2)) || { give_up "${todo[0]}"; fruitless=0; missing; }
    ((${#todo[@]} == 0)) || echo "freeze: ${#todo[@]} cells left"
done
sleep 0.5
python3 tests/bench/freeze/table.py "$out"
# The picture, of the first freeze that is long enough and was done for both.
for cell in "${cells[@]}"; do
    [[ $cell =~ ^ballast-(.*-([0-9]+)s-1-dm)$ ]] || continue
    ((BASH_REMATCH[2] >= 60)) || continue
    folders=()
    for half in "block-${BASH_REMATCH[1]}" "$cell"; do
        for folder in "$out"/boot*/cells/"$half"; do
            [[ ! -e $folder/done ]] || folders+=("$folder")
        done
    done
    ((${#folders[@]} == 2)) || continue
    python3 tests/bench/freeze/picture.py "$out/freeze.svg" "${folders[@]}" &&
        echo "picture: ${out#"$PWD"/}/freeze.svg"
    break
done
((${#given_up[@]} == 0)) || { echo "without: ${given_up[*]}"; exit 1; }
