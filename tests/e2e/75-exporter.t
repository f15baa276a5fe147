#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ballast-exporter as the service that is installed: its user may only ask, its sandbox lets it see what
# it needs, and it tells of a LUN whose storage is frozen, and of a daemon that is gone.
# timeout: 200
. "$(dirname "$0")/lib.sh"
[[ $BACKSTORE == ballast ]] || skip_all "only our plugin answers"
plan 32

CTL=$LAB_BUILD/ballastctl
[[ -x $LAB_BUILD/ballast-exporter ]] || bail "no ballast-exporter in $LAB_BUILD: run make first"
FAULT=/run/vol0.fault
unit=/etc/systemd/system/ballast-exporter.service
metrics_unit=/etc/systemd/system/ballast-metrics.service
test_cleanup() {
    : > "$FAULT" # nothing ends while it is frozen
    systemctl stop ballast-exporter.service
    rm -rf "$unit" "$metrics_unit" /var/lib/prometheus /usr/sbin/ballastctl /usr/sbin/ballast-exporter /usr/share/dbus-1/system.d/org.ballast.Ballast1.readers.conf \
        /etc/sysusers.d/ballast-exporter.conf /etc/default/ballast-exporter
    systemctl daemon-reload
}
# get PATH: sets code and body.
get() {
    local connection answer
    exec {connection}<> /dev/tcp/127.0.0.1/9728 || { code=0 body=''; return 1; }
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n' "$1" >&"$connection"
    answer=$(cat <&"$connection")
    exec {connection}>&-
    code=$(sed -n '1s/HTTP[^ ]* \([0-9]*\) .*/\1/p' <<< "$answer")
    body=$(sed '1,/^\r$/d' <<< "$answer")
}
shows() { get "$1" 2>&9 && grep -qE "$2" <<< "$body"; }
# as_reader METHOD [ARGUMENT...]: calls it as the exporter's user.
as_reader() {
    setpriv --reuid ballast-exporter --regid ballast --clear-groups \
        busctl --system call org.ballast.Ballast1 /org/ballast/Ballast1 org.ballast.Ballast1 "$@" 2>&1
}

bus_policy
# --- installed ---
cp "$LAB_BUILD/ballast-exporter" /usr/sbin/
cp "$LAB_SRC/targetcli-config/systemd/ballast-exporter.service" "$unit"
install -D -m 0644 -t /etc/sysusers.d "$LAB_SRC/targetcli-config/sysusers/ballast-exporter.conf"
install -m 0644 -t /usr/share/dbus-1/system.d "$LAB_SRC/targetcli-config/dbus/org.ballast.Ballast1.readers.conf"
ok "its user is made" systemd-sysusers
is "$(id -gn ballast-exporter)" ballast "in the group that may ask"
ok "the bus takes the group's rules" busctl --system call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig
systemctl daemon-reload
is "$(systemd-analyze verify --man=no ballast-exporter.service 2>&1 | grep -i ballast)" "" "systemd has nothing to say against the service"

rm -f "$FAULT"
fresh_daemon
make_lun vol0 128M "file=/srv/$TEST_NAME.vol0.raw;fault=$FAULT" || bail "no vol0"
export_luns
ok "login" login
ok "the service starts" bounded 30 systemctl start ballast-exporter.service
exposed=$(systemd-analyze security ballast-exporter.service 2> /dev/null | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
ok "and is exposed to little: $exposed of 10" awk -v it="$exposed" 'BEGIN { exit !(it > 0 && it < 2) }'
is "$(ps -o user:20=,group:20= -C ballast-exporter | xargs)" "ballast-exporter ballast" "it is not root"

# --- calm ---
ok "it answers" wait_for 20 "the exporter" get /healthz
is "$code" 200 "healthy"
like "$body" '^the plugin, version [0-9.]+, answers$' "because the plugin answers"
# It waits a second for /sys and configfs.
all_there() { get /metrics && grep -q '^ballast_metrics_missing.* 0$' <<< "$body" && ! grep -q '^ballast_metrics_missing.* 1$' <<< "$body"; }
wait_for 30 "all metrics" all_there
like "$body" '^ballast_up 1$' "metrics of the plugin"
like "$body" "^ballast_lun_export_info\{lun=\"vol0\",target=\"$IQN\",portal_group=\"1\",lun_number=\"0\",initiator=\"$INITIATOR\"\} 1" \
    "of the target's configuration"
like "$body" '^ballast_disk_survives_seconds\{disk="sd[a-z]+",.*\} [0-9]' "and of the initiator's disk"
is "$(grep -c '^ballast_metrics_missing.* 1$' <<< "$body")" 0 "nothing is missing"
wait_for 20 "the target on the page" shows / "$INITIATOR<"
like "$body" "<span class=\"state good\">ok</span>.*>file=/srv/$TEST_NAME.vol0.raw.*>$INITIATOR<" "the page has the LUN"

# --- or a file for node-exporter, in a folder of its user ---
cp "$LAB_SRC/targetcli-config/systemd/ballast-metrics.service" "$metrics_unit"
ln -sf "$CTL" /usr/sbin/ballastctl
systemctl daemon-reload
prom=/var/lib/prometheus/node-exporter/ballast.prom
mkdir -p "${prom%/*}"
chown -R daemon: /var/lib/prometheus
ok "the service that writes it" bounded 60 systemctl start ballast-metrics.service
is "$(grep -cE '^ballast_up 1|^ballast_metrics_missing.* 0$' "$prom")" "$(grep -cE '^ballast_up|^ballast_metrics_missing' "$prom")" "has missed nothing"
chown daemon: "$prom"
ok "writes it again" bounded 60 systemctl start ballast-metrics.service
is "$(stat -c '%U %a' "$prom")" "daemon 644" "and it still belongs to the same user"
ok "it is exposed to little, too" systemd-analyze security --no-pager --threshold=20 ballast-metrics.service

# --- who may do what ---
like "$(as_reader List)" '"name\\?":\\?"vol0' "its user may ask"
like "$(as_reader StandBy s vol0)" 'Access denied|Permission denied|not allowed' "and may not give a store back"
like "$(as_reader LetLogGo s vol0)" 'Access denied|Permission denied|not allowed' "nor have a log let go"

# --- frozen ---
taken=$(rules_taken)
ok "the storage freezes" "$CTL" fault vol0 set 'all freeze'
wait_for 20 "the fault rule" more_rules_taken "$taken"
dd if="$DEV" of=/dev/null bs=4k count=1 skip=100 iflag=direct status=none 3>&- >&9 2>&1 &
reader=$!
ok "the metrics say that it is stalled" wait_for 20 "the stall" shows /metrics '^ballast_lun_stalled\{lun="vol0"\} 1$'
ok "the page says it, too, and what the oldest command is" shows / 'state bad">stalled</span>.*READ \(10\), backend for [0-9]'
"$CTL" fault vol0 clear
ok "after the thaw it is not" wait_for 20 "the end of the stall" shows /metrics '^ballast_lun_stalled\{lun="vol0"\} 0$'
wait "$reader"

# --- the daemon is gone ---
bounded 60 systemctl stop tcmu-runner.service
get /healthz
is "$code $body" "503 tcmu-runner is not running, or has not loaded handler_ballast.so: systemctl status tcmu-runner" "without the daemon: not healthy, and why"
ok "the metrics say that it is down" shows /metrics '^ballast_up 0$'
start_daemon
ok "with a new daemon it is healthy again" wait_for 20 "the plugin" shows /healthz 'answers$'
is "$(systemctl is-active ballast-exporter.service) $(systemctl show -P NRestarts ballast-exporter.service)" "active 0" "and has run all the time"
