#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lock=pr: two LUNs of Ballast are two gateways before one device, a LUN of another target (LIO's own) that each of them
# has logged in to under a name of its own. One takes the device from the other, which stands by then; a robbed owner
# that hung, or stood still, writes nothing any more; and the device stays reserved.
# timeout: 420
. "$(dirname "$0")/shared-device.sh"
[[ $BACKSTORE == ballast ]] || skip_all "other handlers have no persistent reservations of their own"
plan 46

block=$TEST_DIR/block
pattern() { head -c 4096 < /dev/zero | tr '\0' "$1"; }
put() { # GATEWAY-OR-DISK BLOCK LETTER
    pattern "$3" > "$block.$3"
    bounded 100 dd if="$block.$3" of="$(lun_or_disk "$1")" bs=4096 seek="$2" oflag=direct conv=notrunc status=none
}
lun_or_disk() {
    case $1 in
        a) dev 0 ;;
        b) dev 1 ;;
        *) echo "$1" ;;
    esac
}
rob() { # KEY: a machine that is no gateway takes the device from the one that has this key
    persistent --out --register-ignore --param-sark=0x77 "${disk_of[b]}" &&
        persistent --out --preempt-abort --param-rk=0x77 --param-sark="$1" --prout-type=5 "${disk_of[b]}"
}
has() { # BLOCK LETTER: in the store itself
    dd if="${disk_of[a]}" bs=4096 skip="$1" count=1 iflag=direct status=none | cmp -s - <(pattern "$2")
}

# ---- set-up ----

bus_policy
fresh_daemon
ok "a target with a disk" store_up
ok "gateway a sees it" see_store a
ok "gateway b sees it" see_store b
settle
make_lun a 64M "file=${disk_of[a]};lock=pr;deadline=5s" || bail "no LUN a: $(tail -n 3 "$DAEMON_LOG")"
make_lun b 64M "file=${disk_of[b]};lock=pr;deadline=5s" || bail "no LUN b: $(tail -n 3 "$DAEMON_LOG")"
# Under its own name: a discovery would make records for each of the names above.
ok "LUNs a and b" eval 'export_luns a b && iscsiadm -m node -T "$IQN" -p "$PORTAL" -I default --op new >&9 && login'
is "$(field a access) $(field b access)" "standby standby" "both stand by"
not_ok "so nothing can be read" dd if="$(dev 0)" of=/dev/null bs=4096 count=1 iflag=direct
like "$(holder a)" 'NO reservation' "and the device is not reserved"

# ---- taking it ----

ok "a takes it" activate a
is "$(field a access)" owner "a owns it"
ok "b sees that" wait_for 15 "b to see the owner" owner_seen b "$(key_held)"
like "$(holder b)" 'Write Exclusive, registrants only' "with a reservation"
ok "a writes" put a 1 A
not_ok "another machine cannot" put "${disk_of[b]}" 1 X
ok "b takes it from a, which is alive" activate b
ok "b writes" put b 2 B
ok "a notices, and stands by" becomes a standby
expect_log 'a: this gateway has lost the device'
not_ok "a cannot write" put a 2 A
ok "the device has what its owners wrote" eval 'has 1 A && has 2 B'

# ---- a write that hangs in the store ----

freeze store
put b 3 B &
writer=$!
at_store() { local reads writes; read -r reads writes < "/sys/block/${disk_of[b]##*/}/inflight" && ((reads + writes > 0)); }
wait_for 30 "b's write at the store" at_store
# It waits for that write, for as long as the store holds it.
not_ok "a does not own it while a write of b hangs" activate a
sleep 10
isnt "$(field a access)" owner "nor later"
thaw
ok "after the thaw it does" activate_at_last a
ok "a writes to the same block" put a 3 A
wait_for 100 "b's write to end" gone $writer
wait $writer
isnt $? 0 "b's write has failed"
ok "and is not to be seen" has 3 A
ok "b stands by" becomes b standby

# ---- an owner that stands still ----

systemctl kill -s STOP tcmu-runner.service
put a 4 A &
writer=$!
pause 1
was=$(key_held)
ok "another machine robs it" rob "$was"
ok "and writes" put "${disk_of[b]}" 4 X
pause 4
systemctl kill -s CONT tcmu-runner.service
wait_for 100 "a's write to end" gone $writer
wait $writer
isnt $? 0 "what a had when it stood still fails"
ok "it is not to be seen" has 4 X
ok "a stands by" becomes a standby
ok "a can take it again" activate a
ok "and write" put a 4 A

# ---- giving it back ----

ok "a gives it back" bounded 40 "$CTL" standby a
ok "a stands by" becomes a standby
ok "b sees no owner" wait_for 15 "no owner" owner_seen b null
not_ok "the device stays reserved against those that were robbed" put "${disk_of[b]}" 5 X
ok "b takes it" activate b

# ---- a daemon that dies ----

systemctl kill -s KILL tcmu-runner.service
wait_for 20 "the daemon's end" daemon_gone
systemctl reset-failed tcmu-runner.service
start_daemon
ok "a new daemon stands by" becomes b standby
ok "and can take the device again" activate b
expect_log 'nobody knows whether the last writes of an earlier owner have ended'
ok "b writes" put b 6 B

# ---- what is refused ----

truncate -s 64M /srv/regular.raw
make_lun c 64M "file=/srv/regular.raw;lock=pr"
expect_log 'is a regular file, and lock=pr is for a block device'
loop=$(losetup -f --show /srv/regular.raw)
make_lun c 64M "file=$loop;lock=pr"
expect_log "$loop has no SCSI persistent reservations"
dmsetup create part --table "0 131072 linear $loop 0" && settle
make_lun c 64M "file=/dev/mapper/part;lock=pr"
expect_log '/dev/mapper/part is a partition, a logical volume or the like'
bounded 20 dmsetup remove --retry part
losetup -d "$loop"
make_lun c 64M "file=${disk_of[a]};lock=pr;cache=buffered"
expect_log 'with cache=buffered this machine would keep data'
