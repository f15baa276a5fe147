#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The resource agent under Corosync and Pacemaker themselves, as a cluster of one node: two LUNs are two gateways before
# one device, and Pacemaker has one of them. ha-pacemaker.t has two machines.
# timeout: 300
. "$(dirname "$0")/shared-device.sh"
. "$(dirname "$0")/pacemaker.sh"
[[ $BACKSTORE == ballast ]] || skip_all "other handlers have no shared stores of their own"
plan 22

# systemd starts a daemon that ended anew. Here it takes its time until Pacemaker has found the daemon gone.
drop_in=/run/systemd/system/tcmu-runner.service.d
test_cleanup() {
    cluster_end
    rm -rf "$drop_in"
    systemctl daemon-reload
    shared_cleanup
}
mkdir -p "$drop_in"
cp "$LAB_SRC"/targetcli-config/systemd/tcmu-runner.service.d/*.conf "$drop_in/"
printf '[Service]\nRestartSec=300s\n' > "$drop_in/slow.conf"
systemctl daemon-reload
# failed ACTION RESULT REASON: in the words of crm_mon.
failed() { cluster_says "\\* $1 on gw1 returned '$2' \\(.*$3"; }
both() { access_is a "$1" && access_is b "$2"; }

bus_policy
fresh_daemon
shared_and_own
ok "a cluster" cluster_begin gw1=127.0.0.1
ok "Pacemaker understands the agent" eval 'crm_resource --show-metadata ocf:ballast:ballast-lun | grep -q "<shortdesc lang=\"en\">Owner of a LUN"'

ok "resources: the ownership of a, of a LUN that is not here, of one that is not shared" eval \
    'resource vol0 a && resource nobody nobody && resource own own'
ok "Pacemaker starts it" wait_for 60 "vol0" runs_on vol0 gw1
is "$(field a access)" owner "so a owns the store"
ok "why the second does not start is said" wait_for 60 "it" failed 'nobody start' 'not installed' 'there is no such LUN here'
ok "and the third" wait_for 60 "it" failed 'own .*' 'not configured' 'its configuration has neither lock=standby nor lock=pr'
ok "neither is in the way" wait_for 60 "both to stop" eval 'runs_on nobody && runs_on own'

ok "b takes the store" activate_at_last b
ok "Pacemaker notices, and takes it back" wait_for 60 "a to own it, and b to see that" both owner standby
ok "it says what it noticed" wait_for 30 "the reason" failed 'vol0 .*monitor' 'not running' 'this gateway does not own the store'

ok "the daemon dies" systemctl kill --signal=KILL tcmu-runner.service
ok "Pacemaker notices" wait_for 60 "the reason" failed 'vol0 .*monitor' 'not running' 'tcmu-runner does not run'
ok "the next daemon" bounded 60 systemctl restart tcmu-runner.service
ok "Pacemaker waited for it, and a owns the store" wait_for 60 "a to own it" access_is a owner

ok "the resource is to stop" crm_resource --resource vol0 --meta --set-parameter target-role --parameter-value Stopped
ok "it stops" wait_for 60 "vol0 to stop" runs_on vol0
is "$(field a access), $(field b access)" "standby, standby" "and the store is nobody's"
