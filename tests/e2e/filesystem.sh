# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The body of the file system tests: data survives a remount, a logout, and a
# restart of the daemon while it is being written.
# FS, MKFS, FSCK come from the test that sources this.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
plan 12

files=24

# Files are random pieces of it: making random bytes, and SHA-256, would take most of this test's time
# under emulation.
pool=/srv/$TEST_NAME.pool
head -c 3M /dev/urandom > "$pool"

write_files() { # DIR: files of 4 KiB to 1 MiB, of odd lengths, and their checksums beside the mount
    local i
    mkdir -p "$1"
    for ((i = 0; i < files; i++)); do
        dd if="$pool" of="$1/file$i" bs=1M iflag=skip_bytes,count_bytes skip=$((RANDOM * 64)) \
            count=$(((i * i * 5431 + 4096) % 1048576 + 1)) status=none || return 1
    done
    sync -f "$1"
    (cd "$1" && b2sum file* > "/srv/$TEST_NAME.${1##*/}.sums")
}
verify_files() { # DIR
    echo 3 > /proc/sys/vm/drop_caches
    (cd "$1" && b2sum --quiet -c "/srv/$TEST_NAME.${1##*/}.sums")
}
mount_it() { bounded 60 mount -t "$FS" "$(dev 0)" "$MNT"; }

fresh_daemon
ok "a LUN of 512 MiB" make_lun vol0 512M "file=/srv/$TEST_NAME.raw"
export_luns
ok "login" login
# shellcheck disable=SC2086 # with options
ok "$MKFS" $MKFS "$DEV"
ok "mount" mount_it
write_files "$MNT/first"
bounded 60 umount "$MNT"
mount_it
ok "the files are right after a remount" verify_files "$MNT/first"

bounded 60 umount "$MNT"
logout && login
mount_it
ok "the files are right after logout and login" verify_files "$MNT/first"

# Under load: a writer that never stops, several files of it before and after.
(
    i=0
    while [[ ! -e /run/$TEST_NAME.stop ]]; do
        write_files "$MNT/load$((i++ % 4))" || exit 1
        echo "$i" > "/run/$TEST_NAME.rounds"
    done
) 3>&- &
writer=$!
rounds() { cat "/run/$TEST_NAME.rounds" 2> /dev/null || echo 0; }
reached() { (($(rounds) >= $1)); }
wait_for 60 "the writer's first round" reached 1
before=$(rounds)
ok "tcmu-runner restarts under load" bounded 90 systemctl restart tcmu-runner.service
ok "the writer goes on after the restart" wait_for 120 "two more rounds" reached $((before + 2))
touch "/run/$TEST_NAME.stop"

wait_for 60 "the writer's end" gone "$writer"
wait "$writer"
is $? 0 "the writer saw no error"
verify_all() {
    local d
    for d in "$MNT"/first "$MNT"/load*; do verify_files "$d" || return 1; done
}
ok "every file is right after the restart" verify_all

bounded 60 umount "$MNT"
logout && login
mount_it
ok "every file is right after another login" verify_all
bounded 60 umount "$MNT"
# shellcheck disable=SC2086
ok "$FSCK finds nothing" $FSCK "$(dev 0)"
