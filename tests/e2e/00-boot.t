#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guest has what everything else stands on.
. "$(dirname "$0")/lib.sh"
plan 6

ok "the kernel modules load" load_modules
for module in target_core_user iscsi_target_mod tcm_loop; do
    ok "$module is there" test -d "/sys/module/$module"
done
fresh_daemon
ok "tcmu-runner is active" systemctl is-active tcmu-runner.service
like "$(targetcli ls /backstores 2>&1)" "user:$BACKSTORE" "targetcli offers user:$BACKSTORE"
