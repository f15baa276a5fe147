#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 500
# Each mistake in a configuration string gets its own sentence, where the operator sees it, and
# leaves nothing behind.
. "$(dirname "$0")/lib.sh"
[[ $BACKSTORE == ballast ]] || skip_all "the sentences are ours"

HOME_DIR=/run/$TEST_NAME.home
mkdir -p "$HOME_DIR"
# One targetcli process for all cases; between two of them a line that says where we are.
cases=() expected=() lines=()
# targetcli_says WHAT REGEX CREATE-ARGUMENTS...
targetcli_says() {
    cases+=("$1")
    expected+=("$2")
    lines+=("/backstores/user:ballast create ${*:3}")
}
# check_says WHAT REGEX CFGSTRING: refused before anything is made.
check_says() { targetcli_says "$1" "^Error: cfgstring invalid: .*$2" name=bad size=64M "cfgstring=$3"; }
# open_says WHAT REGEX SIZE CFGSTRING: only opening can find this, targetcli shows no reason, and
# the sentence is in the daemon's log.
opens=()
open_says() {
    targetcli_says "$1" '^Error: UserBackedStorageObject creation failed' name=bad "size=$3" "cfgstring=$4"
    opens+=("$2")
}

# --- the world these strings speak of ---
test_cleanup() {
    exec 8>&-
    [[ -z ${locker-} ]] || kill "$locker"
    chattr -i /srv/world/immutable.raw
    umount /srv/world/read-only /srv/world/in-memory /mnt/in-use
    [[ -z ${loop-} ]] || losetup -d "$loop"
}
mkdir -p /srv/world/read-only /srv/world/in-memory /srv/world/folder /mnt/in-use
mount -t tmpfs -o ro none /srv/world/read-only
# tmpfs has O_DIRECT since Linux 6.6.
mount -t ramfs none /srv/world/in-memory
truncate -s 64M /srv/world/{immutable,locked,lun,loop,plain}.raw
truncate -s 1M /srv/world/small.raw
chattr +i /srv/world/immutable.raw
mkfifo /srv/world/fifo
ln -s nowhere /srv/world/dangling
python3 -c '
import fcntl, signal, sys
file = open("/srv/world/locked.raw", "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
signal.pause()' > /run/locker 3>&- 9>&- &
locker=$!
wait_for 10 "the other process to have its lock" grep -q locked /run/locker
loop=$(losetup -f --show /srv/world/loop.raw)
mkfs.ext4 -q "$loop"
mount "$loop" /mnt/in-use
long=$(printf '%0300d' 0)

# --- the string itself ---
check_says "nothing at all" 'the configuration is empty' ''
targetcli_says "no cfgstring" '^Error: .*cfgstring' name=bad size=64M
check_says "no kind of store" 'does not begin with a kind of store' vol0.raw
check_says "an unknown kind" 'unknown kind of store "floppy"' floppy=/srv/world/new.raw
check_says "a missing path" 'file has no path' file=
check_says "a relative path" 'is relative' file=srv/world/new.raw
check_says "a path that is too long" 'the path is too long' "file=/srv/world/$long"
check_says "a string that is too long" 'the configuration is too long' "file=/srv/world/new.raw;fault=/srv/$long"
check_says "a comma, where the kernel would cut" 'there is a comma at position' file=/srv/world/a,b.raw
check_says "an unknown key" 'unknown key "colour"' 'file=/srv/world/new.raw;colour=red'
check_says "a key without a value" 'no .=.' 'file=/srv/world/new.raw;cache'
check_says "a key twice" 'queue_depth is there twice' 'null;queue_depth=1;queue_depth=2'
check_says "a key of another kind" 'key cache can be used with file only' 'memory;cache=buffered'
check_says "a word it does not know" 'is not a known value' 'file=/srv/world/new.raw;cache=often'
check_says "a bad unit" 'bad unit "MB"' 'null;write_same_max=1MB'
check_says "a value below its range" 'out of range' 'null;queue_depth=0'
check_says "a value above its range" 'out of range' 'null;write_same_max=1GiB'
check_says "rubbish after a value" '"x" stands after the value|bad unit "x"' 'null;queue_depth=64x'
check_says "rubbish after a unit" '"x" stands after the value' 'null;write_same_max=1MiBx'
check_says "rubbish after the target" 'memory takes no target' memory=x
check_says "rubbish after a ';'" 'is not a setting' 'file=/srv/world/new.raw;rubbish'
check_says "two ';'" 'empty setting' 'null;;queue_depth=1'
check_says "the daemon's own setting" 'tcmur_cmd_time_out' 'null;tcmur_cmd_time_out=30'

# --- the world ---
check_says "no parent directory" 'there is no directory /srv/world/none: create it first' file=/srv/world/none/new.raw
check_says "a parent that is a file" 'Not a directory|not a directory' file=/srv/world/plain.raw/new.raw
check_says "a parent that cannot be written" 'Read-only file system|read-only' file=/srv/world/read-only/new.raw
check_says "a file that may not be opened" 'no permission to read and write' file=/srv/world/immutable.raw
check_says "a directory" 'is a directory' file=/srv/world/folder
check_says "a character device" 'is a character device' file=/dev/null
check_says "a named pipe" 'is a named pipe' file=/srv/world/fifo
check_says "a link that leads nowhere" 'leads nowhere' file=/srv/world/dangling
check_says "a file system without O_DIRECT" 'without O_DIRECT: add ;cache=buffered' file=/srv/world/in-memory/new.raw
check_says "locked by a process" "locked by process $locker" file=/srv/world/locked.raw
check_says "locked by another LUN" 'locked by another LUN' file=/srv/world/lun.raw
check_says "a mounted block device" 'is in use' "file=$loop"

# --- what needs the LUN's size, which check_config is not told ---
open_says "a file smaller than the LUN" 'small.raw has 1MiB but the LUN was created with size=64MiB' 64M file=/srv/world/small.raw
open_says "a size no file can have" 'new.raw cannot have a size of' 500T file=/srv/world/new.raw
# rtslib takes no ':' in any configuration, and targetcli keeps its reason to itself.
targetcli_says "a colon, which rtslib refuses" '^Error: ' name=bad size=64M cfgstring=file:/srv/world/new.raw

plan $((${#cases[@]} + ${#opens[@]} + 5))
fresh_daemon
make_lun other 64M file:/srv/world/lun.raw || bail "no LUN to hold a lock"
pid=$(daemon_pid)
before=$(find /srv/world | sort)
{
    echo 'set global color_mode=false'
    echo 'set global auto_save_on_exit=false'
    for i in "${!cases[@]}"; do
        echo "/case-$i"
        echo "${lines[$i]}"
    done
    echo "/case-${#cases[@]}"
    echo exit
} > "$TEST_DIR/script"
TARGETCLI_HOME=$HOME_DIR bounded 300 targetcli < "$TEST_DIR/script" > "$TEST_DIR/said" 2>&1
sed -i -E 's/^(\/[^ ]*> )+//' "$TEST_DIR/said"

for i in "${!cases[@]}"; do
    said=$(sed -n "/No such path \/case-$i\$/,/No such path \/case-$((i + 1))\$/p" "$TEST_DIR/said" | sed '1d;$d')
    like "$said" "${expected[$i]}" "${cases[$i]}"
done
for sentence in "${opens[@]}"; do
    like "$(grep -vE 'check_config' "$DAEMON_LOG")" "$sentence" "the log says: $sentence"
done
is "$(configfs_leftovers | grep -v '/user_0\(/other\)\?$')" "" "no backstore is left"
is "$(ls /sys/class/uio)" uio0 "no ring is left"
is "$(find /srv/world | sort)" "$before" "no file is left"
is "$(daemon_pid)" "$pid" "the daemon lives"
ok "and still makes good LUNs" make_lun good 64M file:/srv/world/good.raw
