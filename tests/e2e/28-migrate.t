#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# LUNs of other targets become LUNs of Ballast, by the lines that stand in docs/migrate.md: the data
# stay, and so do the names that the page says stay.
# timeout: 300
. "$(dirname "$0")/disk.sh"
[[ $BACKSTORE == ballast ]] || skip_all "about the way to user:ballast"
command -v tgtd > /dev/null || skip_all "tgt is not installed in this image"
plan 41

PAGE=$LAB_SRC/docs/migrate.md
SIZE=$((64 << 20))
loop=''
test_cleanup() {
    systemctl stop tgt.service 2>&9
    rm -f /etc/tgt/conf.d/lab.conf /run/udev/rules.d/99-old-name.rules
    clear_target
    [[ -z $loop ]] || losetup -d "$loop"
}

# block NUMBER HEADING: of the page, the Nth piece of code below that heading.
block() {
    awk -v want="$1" -v heading="## $2" '
        /^## / { here = $0 == heading }
        /^```/ { inside = !inside; if (here && inside) ++number; next }
        here && inside && number == want' "$PAGE"
}
# as_here NAME SERIAL STORE LUN: the page's names become these.
as_here() {
    sed "s|/srv/vol0\.raw|@|g; s|vol0|$1|g; s|@|$3|g; s|0b7a1c52-6f0e-4c55-9d3a-2f1d6c8e9a10|$2|g; s|107374182400|$SIZE|
        s|iqn.2003-01.org.example:disks|$IQN|g; s|iqn.1993-08.org.debian:01:initiator|$INITIATOR|g
        s|lun0|lun$4|g; s|lun=0|lun=$4|g"
}
# kind COLUMN BACKSTORE: of the page's table.
kind() { awk -F ' *[|] *' -v column="$1" -v kind="\`$2\`" '$2 == kind { gsub("`", "", $column); print $column }' "$PAGE"; }
# move NAME BACKSTORE STORE LUN: what the page has typed for it.
move() {
    block 2 "LUNs of LIO" | sed "s|$(kind 3 fileio)|$(kind 3 "$2")|" | as_here "$1" "$(serial_of "$1")" "$3" "$4"
}

# takes SCRIPT WHAT: targetcli does.
takes() { unlike "$(tcli <<< "$1")" 'failed|[Ii]nvalid|rror|No such|does not' "$2"; }

limit() { cat "/sys/block/$(basename "$(dev 0)")/queue/$1"; }
# The names by id of a disk, without those of its partitions.
names() { udevadm info -q symlink "$1" | tr ' ' '\n' | grep -E '^disk/by-(id|uuid|path)/' | sort; }
vendor() { sg_inq "$1" | sed -n 's/ *Vendor identification: *\([^ ]*\) */\1/p'; }
fill() { # DEVICE FOLDER
    mkfs.ext4 -q "$1" && mkdir -p "$2" && bounded 30 mount "$1" "$2" && cp "$MODEL" "$2/data" && sync -f "$2"
}
same_data() { echo 3 > /proc/sys/vm/drop_caches; cmp "$MODEL" "$1/data"; }
head -c 3M /dev/urandom > "$MODEL"

# --- LIO ------------------------------------------------------------------------------------------
fresh_daemon
modprobe target_core_iblock
truncate -s "$SIZE" /srv/vol1.raw && loop=$(losetup -f --show /srv/vol1.raw)
ok "LUNs of fileio, block and user:qcow" eval 'BACKSTORE=fileio make_lun vol0 64M file=/srv/vol0.raw &&
    make_lio vol1 iblock_0 "udev_path=$loop" && BACKSTORE=qcow make_lun vol2 64M file=/srv/vol2.raw'
export_luns
ok "login" login
for n in 0 1 2; do
    ok "LUN $n: a file system with a file" fill "$(dev $n)" "$MNT/$n"
    settle # udev gives a file system's names when mkfs closes the disk
    names_before[n]=$(names "$(dev $n)")
    disk_before[n]=$(dev $n)
done
like "${names_before[0]}" "disk/by-id/wwn-0x6001405$(serial_of vol0 | tr -d - | cut -c 1-25)" "the name is made of the serial"

# A line for each second, and each is on the disk before the next.
(
    n=0
    while [[ ! -e /run/enough ]]; do
        echo "$((n += 1)) $EPOCHREALTIME" >> "$MNT/0/during" && sync "$MNT/0/during" || exit 1
        sleep 0.2
    done
) 3>&- &
writer=$!
mark="lab: the move of $TEST_NAME"
echo "$mark" > /dev/kmsg
script=$(move vol0 fileio /srv/vol0.raw 0; move vol1 block "$loop" 1; move vol2 user:qcow /srv/vol2.raw 2)
like "$script" "user:qcow delete vol2" "the page has lines for each kind"
takes "$script" "targetcli takes all of the page's lines"
ok "the initiator logs in again by itself" wait_for 60 "a session" sg_turs "$(dev 0)"
# shellcheck disable=SC2046 # the page's
ok "rescan" bounded 60 $(block 3 "LUNs of LIO")
touch /run/enough
ok "who was writing meanwhile has no error" wait "$writer"
rm -f /run/enough
lines=$(wc -l < "$MNT/0/during")
is "$(cut -d ' ' -f 1 "$MNT/0/during" | sort -n | uniq | wc -l)" "$lines" "and lost no line"
note "longest time without a line: $(awk 'NR > 1 && $2 - last > worst { worst = $2 - last } { last = $2 } END { printf "%.1f s", worst }' "$MNT/0/during")"
unlike "$(dmesg | sed -n "/$mark/,\$p")" 'I/O error|Aborting journal|offlined' "the kernel had nothing to complain about"
for n in 0 1 2; do
    is "$(vendor "$(dev $n)")" BALLAST "LUN $n: is Ballast's"
    is "$(dev $n)" "${disk_before[n]}" "LUN $n: is the same disk to the initiator"
    is "$(names "$(dev $n)")" "${names_before[n]}" "LUN $n: its names are the same"
    ok "LUN $n: its file is the same" same_data "$MNT/$n"
done
isnt "$(limit discard_max_bytes)" 0 "the initiator knows of the new target that it unmaps"
bounded 60 umount "$MNT/0" && bounded 60 umount "$MNT/1" && bounded 60 umount "$MNT/2" && logout && login
is "$(names "$(dev 0)")" "${names_before[0]}" "the names are the same after a login, too"
is "$(limit write_zeroes_max_bytes)" 1310720 "and now it has all of the new limits"
like "$(udevadm info -q property "$(dev 0)")" "^ID_SERIAL=36001405$(serial_of vol0 | tr -d - | cut -c 1-25)" "and udev's ID_SERIAL"

bounded 30 mount "$(dev 0)" "$MNT/0"
takes "$(block 4 "LUNs of LIO" | as_here vol0 "$(serial_of vol0)" /srv/vol0.raw 0)" "targetcli takes the lines of the way back"
ok "the file is the same with fileio" wait_for 60 "the old target" same_data "$MNT/0"
is "$(vendor "$(dev 0)") $(names "$(dev 0)")" "LIO-ORG ${names_before[0]}" "and so are the names"
bounded 60 umount "$MNT/0"
logout
clear_target

# --- tgt ------------------------------------------------------------------------------------------
truncate -s "$SIZE" /srv/vol3.raw
printf '<target %s>\n  backing-store /srv/vol3.raw\n</target>\n' "$IQN" > /etc/tgt/conf.d/lab.conf
tgt_login() { login 0 && wait_for 30 "the disk" test -b "$(by_path 1)" && settle; }
ok "a LUN of tgt" eval 'bounded 60 systemctl start tgt.service && tgt_login && fill "$(dev 1)" "$MNT/3"'
before=$(names "$(dev 1)")
bounded 60 umount "$MNT/3"
logout
uuid=0b7a1c52-6f0e-4c55-9d3a-2f1d6c8e9a10
bounded 20 bash -c "$(block 1 "LUNs of tgt")"
tgt_login
renamed=$(names "$(dev 1)")
like "$renamed" "wwn-0x60014050b7a1c526f0e4c559d3a2f1d6" "tgt takes the name that Ballast will have"
logout
block 2 "LUNs of tgt" > /run/udev/rules.d/99-old-name.rules
udevadm control --reload
bounded 60 bash -c "$(block 3 "LUNs of tgt")"
not_ok "nobody has the portal any more" bash -c "exec 5<> /dev/tcp/${PORTAL%:*}/${PORTAL#*:}"
takes "$(block 4 "LUNs of tgt" | as_here vol3 "$uuid" /srv/vol3.raw 1)" "targetcli takes the page's lines"
ok "login" tgt_login
is "$(vendor "$(dev 1)")" BALLAST "it is Ballast's"
is "$(names "$(dev 1)" | grep -vF -- "$(grep wwn- <<< "$before")")" "$renamed" "its names are those that tgt gave it last"
like "$(names "$(dev 1)")" "$(grep wwn- <<< "$before")$" "the udev rule keeps the oldest one"
mkdir -p "$MNT/3" && bounded 30 mount "$(dev 1)" "$MNT/3"
ok "the file is the same" same_data "$MNT/3"
