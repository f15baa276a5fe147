#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make run HOST=1`, where the machine has LIO: the main job on the machine itself, which is left as it
# was; and not at all where LUNs are being served.
# timeout: 300
. "$(dirname "$0")/lib.sh"
[[ $BACKSTORE == ballast ]] || skip_all "it makes a LUN of ours"
plan 9

host_run() { # what make runs, and not as in a guest
    bounded 240 env -u IN_LAB HOST=1 BUILD="$LAB_BUILD" "$LAB_SRC/ci/run" > "$TEST_DIR/said" 2>&1
}

fresh_daemon
make_lun vol0 64M "file=/srv/$TEST_NAME.raw" || bail "no vol0"
host_run
is "$?" 77 "LUNs are being served: no"
like "$(< "$TEST_DIR/said")" 'serves LUNs through tcmu-runner already' "and says why"
ok "that LUN is still there" test -d "${lun_path[vol0]}"

clear_target
systemctl start tcmu-runner
host_run
is "$?" 0 "else it does it"
like "$(< "$TEST_DIR/said")" 'PASS: the data survived' "and says so"
is "$(configfs_leftovers)" "" "nothing is left in LIO"
is "$(iscsiadm -m node 2>&9 | grep ballast:demo)" "" "nor of the initiator's records"
is "$(compgen -G '/srv/ballast-demo*')" "" "nor files"
ok "and the daemon runs, as before" systemctl --quiet is-active tcmu-runner
