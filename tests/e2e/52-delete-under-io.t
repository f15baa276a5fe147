#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A backstore that is deleted under load is gone and its file free; nobody else notices.
# timeout: 240
. "$(dirname "$0")/disk.sh"
plan 12

fresh_daemon
pid=$(daemon_pid)
file_lun vol0 64M
file_lun vol1 64M
export_luns
ok "login" login

load() { # LUN SECONDS LOG
    fio --name=load --filename="$(dev "$1")" --ioengine=libaio --direct=1 --rw=randrw --bs=16k --iodepth=16 \
        --time_based --runtime="$2" --output="$TEST_DIR/$3" "${@:4}" 3>&- >&9 2>&1 &
    fio_pid=$!
}
# Until it is ended by what happens here.
load 0 600 fio-deleted.log
deleted=$fio_pid
test_cleanup() { gone "$deleted" || kill "$deleted"; }
load 1 20 fio-neighbour.log --verify=crc32c --size=16m
neighbour=$fio_pid
busy() { (($(target_commands "$1") > $2)); }
ok "both LUNs are under load" eval 'wait_for 20 "load on vol0" busy vol0 100 && wait_for 20 "load on vol1" busy vol1 100'

# What targetcli does: first the LUN, then the backstore.
plugin=user:$BACKSTORE
[[ $BACKSTORE != fileio ]] || plugin=fileio
said=$(tcli << END
/backstores/$plugin delete vol0
exit
END
)
like "$said" 'Deleted storage object vol0' "targetcli deletes the backstore under load"
gone=${lun_path[vol0]}; unset 'lun_path[vol0]'
ok "its configfs folder is gone" test ! -d "$gone"
ok "the load on it ends" wait_for 60 "fio's end" gone $deleted
wait $deleted
isnt $? 0 "with an error"
ok "the load on the other LUN ends in its own time" wait_for 60 "fio's end" gone $neighbour
wait $neighbour
is $? 0 "without an error, all data right"
is "$(daemon_pid)" "$pid" "the daemon is the same"

# Nobody holds the file: fuser sees open files, a LUN that opens sees the lock.
not_ok "nobody has the file open" fuser "$(backing vol0)"
ok "a new LUN opens it" wait_for 20 "the lock to go" make_lun again 64M "file:$(backing vol0)"
is "$(kernel_complaints)" "" "the kernel has nothing to complain of"
