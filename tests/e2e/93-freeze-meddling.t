#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A disk without a tag left is frozen, and somebody deletes a LUN on it, restarts what the daemon needs,
# restarts the daemon, kills it, or clears the whole target. Each takes bounded time, an
# initiator whose LUN still exists sees no error, and after the thaw every block is right.
# cpus: 2
# timeout: 900
. "$(dirname "$0")/stores.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; docs/one-slow-disk.md shows what others do"
[[ -n ${BALLAST_LONG-} ]] || skip_all "needs five minutes: BALLAST_LONG=1"
keys="deadline=6s;stall_after=2s"
drop_in=/run/systemd/system/tcmu-runner.service.d
test_cleanup() {
    stores_cleanup
    rm -rf "$drop_in"
    systemctl daemon-reload
    systemctl reset-failed tcmu-runner.service
}
mkdir -p "$drop_in"
cp "$LAB_SRC/targetcli-config/systemd/tcmu-runner.service.d/ballast.conf" "$drop_in/"
systemctl daemon-reload

# another_daemon PID: it is not this one, and answers.
another_daemon() { local now; now=$(daemon_pid); [[ $now != 0 && $now != "$1" ]] && daemon_ready; }
begin_row() { # SECONDS WHAT: 4 assertions
    note "==== $2"
    row_begin "$1" "$keys" "tags_ext4*2" && sleep 2
}
end_row() { # 1
    row_over
    ok "all is let go" stores_remove
    TEST_DIR=$row_dir
}
# What the LUN that is gone had: as a LUN again, by itself.
again() { # NAME LUN
    make_lun "$1" 128M "file=$(store_path s1 "$2");$keys" && export_lun "$1" "$2" && rescan &&
        wait_for 20 "LUN $2" test -b "$(by_path "$2")"
}

delete_row() { # 11
    begin_row 30 "a LUN is deleted"
    took 90 tcli <<< "/backstores/user:ballast delete s1-0"
    note "targetcli's delete: $seconds s"
    ok "the LUN is deleted during the freeze, within 60 s" test "$seconds" -le 60
    ok "its configfs folder is gone" test ! -d "${lun_path[s1-0]}"
    unset 'lun_path[s1-0]'
    row_frozen
    is "$(failed_luns)" 0 "its load ends in an error, no other"
    ok "the LUN is there again" wait_for 60 "the LUN again" again s1-0 0
    ok "and every block is right" check_all
    is "$(threads_stuck)" "" "no thread of the daemon slept that must not"
    end_row
}

# A daemon that ends leaves in the kernel what it has at the disk: the process, and with it its LUNs, is
# let go only when the disk has answered, however it ended. That is within what the kernel's TCMU waits
# for a command (cmd_time_out, 30 s).
restart_row() { # WHAT COMMAND...: 16
    local before
    begin_row 12 "$1"
    before=$(daemon_pid)
    "${@:2}" 3>&- >&9 2>&1 &
    ending=$!
    row_frozen
    ok "$1, and is through soon after the thaw" wait_for 45 "the end of $2" gone "$ending"
    ok "a new daemon is there" wait_for 45 "a new daemon" another_daemon "$before"
    row_right 20
    # Not its main thread, which is in exit().
    is "$(threads_stuck | grep -v do_group_exit)" "" "no thread of the daemon slept that must not"
    end_row
}

clear_row() { # 11
    local n
    begin_row 60 "the target is cleared"
    took 120 targetctl clear
    note "targetctl clear: $seconds s"
    is "$status" 0 "the target is cleared during the freeze"
    ok "within 90 s" test "$seconds" -le 90
    is "$(configfs_leftovers)" "" "nothing is left of it"
    watch_end
    threads_end
    is "$(threads_stuck)" "" "no thread of the daemon slept that must not"
    load_kill
    took 60 iscsiadm -m node -U all
    thaw
    lun_path=() lun_names=()
    ok "the LUNs are there again" wait_for 60 "LUNs" all_again
    ok "and every block is right" check_all
    end_row
}
all_again() {
    clear_target
    make_lun s1-0 128M "file=$(store_path s1 0);$keys" && make_lun s1-1 128M "file=$(store_path s1 1);$keys" &&
        make_lun healthy 128M "$(dm_config healthy);$keys" && export_luns && login
}

if [[ -z ${BALLAST_LONG-} ]]; then
    plan $((11 + 16))
else
    plan $((11 + 16 * 3 + 11))
fi
delete_row
restart_row "dbus is restarted" systemctl restart dbus.service
[[ -n ${BALLAST_LONG-} ]] || exit 0
restart_row "the daemon is restarted" systemctl restart tcmu-runner.service
restart_row "the daemon is killed" systemctl kill -s KILL tcmu-runner.service
clear_row
