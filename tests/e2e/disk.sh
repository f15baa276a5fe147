# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests that look at a disk from both ends: the initiator's block device and the file behind
# it. Sourced instead of lib.sh.
#
# The oracle is a model: a plain file to which the test does what the disk is told to do, then
# compares byte by byte, so that "neighbours untouched" needs no second thought.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TOOLS=$LAB_BUILD/tests/e2e/tools
TOOLS_SRC=$LAB_SRC/tests/e2e/tools

# Files of the test's own.
SCRATCH=/srv/$TEST_NAME.scratch
rm -rf "$SCRATCH"
mkdir -p "$SCRATCH"

# file_lun NAME SIZE [KEY=VALUE...]: a LUN on /srv/$TEST_NAME.NAME.raw, which `backing NAME` names.
# LIO's fileio, the reference, has thin provisioning switched off unless told.
file_lun() {
    local name=$1 size=$2
    shift 2
    make_lun "$name" "$size" "file:$(backing "$name")" "$@" && thin "$name"
}
backing() { echo "/srv/$TEST_NAME.$1.raw"; }
thin() {
    [[ $BACKSTORE == fileio ]] || return 0
    echo 1 > "${lun_path[$1]}/attrib/emulate_tpu" && echo 1 > "${lun_path[$1]}/attrib/emulate_tpws"
}

# unmount PATH: a file system with stores. io_uring lets go of a closed file late, a second or so on
# Linux 6.1.
unmount() { wait_for 20 "nobody to use $1" bounded 60 umount "$1"; }

# allocated FILE: bytes of it that occupy space.
allocated() {
    sync -f "$1"
    echo $(($(stat -c %b "$1") * $(stat -c %B "$1")))
}

# written_bytes FILE OFFSET LENGTH: bytes of the range in extents that hold written data: neither
# holes nor unwritten extents (which zeroing leaves).
written_bytes() {
    sync -f "$1"
    filefrag -v -b1 "$1" | awk -v from="$2" -v to="$(($2 + $3))" '
        $1 ~ /^[0-9]+:$/ && $0 !~ /unwritten/ {
            gsub(/[.:]/, " ")
            first = $2; last = $3 + 1
            if (first < from) first = from
            if (last > to) last = to
            if (last > first) sum += last - first
        }
        END { print sum + 0 }'
}

# ---- the model --------------------------------------------------------------------------------

MODEL=/srv/$TEST_NAME.model

# fill_random LUN_NUMBER SIZE: random bytes on the first SIZE bytes of the disk, and in the model.
fill_random() {
    head -c "$2" /dev/urandom > "$MODEL" &&
        bounded 60 dd if="$MODEL" of="$(dev "$1")" bs=1M oflag=direct conv=notrunc status=none
}

# model_zero OFFSET LENGTH
model_zero() { fallocate -z -o "$1" -l "$2" "$MODEL" || dd_zero "$MODEL" "$1" "$2"; }
dd_zero() { dd if=/dev/zero of="$1" bs=512 seek=$(($2 / 512)) count=$(($3 / 512)) conv=notrunc status=none; }

# model_same OFFSET COUNT FILE: COUNT copies of FILE (a block) from OFFSET on.
model_same() {
    perl -e 'local $/; open(F, "<", $ARGV[0]) or die; $block = <F>; print $block x $ARGV[1]' "$3" "$2" |
        dd of="$MODEL" bs=64k seek="$1" oflag=seek_bytes conv=notrunc iflag=fullblock status=none
}

# matches_model PATH: the disk or file begins with what the model holds.
matches_model() {
    [[ -b $1 ]] && blockdev --flushbufs "$1"
    cmp -n "$(stat -c %s "$MODEL")" "$1" "$MODEL"
}

# both_match DESC LUN_NUMBER NAME: the model holds at both ends.
both_match() {
    ok "$1: right on the disk" matches_model "$(dev "$2")"
    ok "$1: right in the file behind it" matches_model "$(backing "$3")"
}

# ---- counting ---------------------------------------------------------------------------------

# target_commands NAME: SCSI commands that the kernel's target has counted for this backstore.
target_commands() { cat "${lun_path[$1]}/statistics/scsi_lu/num_cmds"; }

# traced COMMAND...: runs it while the kernel notes each SCSI command that the initiator sends.
traced() {
    local tracing=/sys/kernel/tracing status=0
    mountpoint -q $tracing || mount -t tracefs tracefs $tracing
    echo > $tracing/trace
    echo 1 > $tracing/events/scsi/scsi_dispatch_cmd_start/enable
    echo 1 > $tracing/tracing_on
    "$@" || status=$?
    echo 0 > $tracing/events/scsi/scsi_dispatch_cmd_start/enable
    cp $tracing/trace "$TEST_DIR/scsi.trace"
    return $status
}
# sent LUN REGEX: how many of them went to this LUN and match: "WRITE_10.* txlen=2048 ".
sent() { grep -cE "lun=$1 .*cmnd=\\($2" "$TEST_DIR/scsi.trace"; }

# queue N ATTRIBUTE: what the block layer believes of the disk of LUN N.
# block_limit NAME [DEVICE]: of the Block Limits page, as a decimal number. The releases of sg3-utils differ in how they
# print one.
block_limit() {
    local number
    number=$(sg_vpd -p bl "${2:-$DEV}" | sed -nE "s/^ *$1: ((0x)?[0-9a-f]+).*/\1/p")
    echo $((number))
}
queue() { cat "/sys/block/$(basename "$(dev "$1")")/queue/$2"; }

# kernel_since: the kernel's words since this test began, or since the line that kernel_mark names.
kernel_mark="lab: test $TEST_NAME begins"
# Not of what was read ahead (REQ_RAHEAD, 0x80000): the initiator does not send it again after an abort, and
# nobody is told.
kernel_since() { dmesg | sed -n "/$kernel_mark/,\$p" | sed '/I\/O error.*(READ) flags 0x8[0-9a-f]\{4\} /d'; }

# kernel_complaints: what the kernel has warned of since then. Not the initiator's own
# workqueue warning at logout (check_flush_dependency, from the initiator: __iscsi_unbind_session).
kernel_complaints() {
    kernel_since | grep -E 'BUG:|WARNING:|Oops|blocked for more than|general protection' |
        grep -v check_flush_dependency
}

# ---- one SCSI command -------------------------------------------------------------------------

# sense_of COMMAND...: what an sg3 tool says of the sense data, on one line, its exit status last.
sense_of() {
    local said status=0
    said=$("$@" 2>&1) || status=$?
    printf '%s\n' "$said" >&9
    echo "$(tr -s ' \n' ' ' <<< "$said") [status $status]"
}

# refused DESC REGEX COMMAND...: the command fails, and its sense matches.
refused() {
    local desc=$1 regex=$2 said
    shift 2
    said=$(sense_of "$@")
    if [[ $said == *"[status 0]" ]]; then
        fail "$desc" "succeeded, but must not: $*"
    elif grep -qiE -- "$regex" <<< "$said"; then
        pass "$desc"
    else
        fail "$desc" "command: $*"$'\n'"want: $regex"$'\n'"got:  $said"
    fi
}
INVALID_FIELD='Invalid field in cdb'
INVALID_OPCODE='Invalid command operation code|not supported|opcode'
OUT_OF_RANGE='Logical block address out of range|LBA out of range'
