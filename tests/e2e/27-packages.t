#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
# The Debian packages (make deb): installed on a machine that has tcmu-runner, upgraded under I/O, and
# removed. Whoever has LUNs keeps the plugin.
. "$(dirname "$0")/recipes.sh"
IQN=iqn.2026-01.org.ballast:vol0
[[ $BACKSTORE == ballast ]] || skip_all "the packages are Ballast's"
packages=("$LAB_BUILD"/deb/ballast-{target,tools,exporter}_*.deb)
[[ -f ${packages[0]} ]] || skip_all "make deb has not run"
plan 32
files=/run/packages.files
policy=/usr/share/dbus-1/system.d/org.ballast.Ballast1.conf
prom=/var/lib/prometheus/node-exporter/ballast.prom

# What the lab has put where the packages put theirs.
clear_target
bounded 30 systemctl stop tcmu-runner.service
rm -f "$PLUGIN_DIR/handler_ballast.so" "$policy"
dpkg_does() { DEBIAN_FRONTEND=noninteractive bounded 120 dpkg "$@" > "$TEST_DIR/dpkg.log" 2>&1; }
test_cleanup() {
    clear_target
    rm -rf /etc/ballast "/srv/$TEST_NAME.later"
    dpkg_does --purge ballast-target ballast-tools ballast-exporter
    systemctl daemon-reload
}
list_says() { bounded 20 ballastctl list | grep -q "$1"; }

newer() { # SUFFIX: the same packages, of a later version, in ${later[@]}
    local package folder=/srv/$TEST_NAME.later
    rm -rf "$folder"
    mkdir -p "$folder"
    for package in "${packages[@]}"; do
        dpkg-deb -R "$package" "$folder/files" || return 1
        sed -i "s/^Version: .*/&$1/" "$folder/files/DEBIAN/control"
        dpkg-deb -Znone -b "$folder/files" "$folder" >&9 || return 1
        rm -rf "$folder/files"
    done
    later=("$folder"/*.deb)
}

there_is() {
    find /etc /usr /var/lib -xdev \( -path /var/lib/dpkg -o -path /var/lib/systemd \) -prune -o -print | sort
}
mkdir -p "${prom%/*}" # prometheus-node-exporter has it
there_is > "$files"
: > "$DAEMON_LOG"
printf 'log_level = 4\n' > /etc/tcmu/tcmu.conf
load_modules
start_daemon
ok "the packages install" dpkg_does --install "${packages[@]}"
is "$(systemctl show -P Restart tcmu-runner.service)" always "the settings for systemd are in force"
ok "the daemon was started anew, and has the plugin" wait_for 30 "the plugin" grep -q 'ballast' "/proc/$(daemon_pid)/maps"
ok "the bus has its policy" test -f "$policy"
exporter_says() { grep -q "$1" <<< "$(exec 4<> /dev/tcp/127.0.0.1/9728 && printf 'GET /healthz HTTP/1.0\r\n\r\n' >&4 && cat <&4)"; }
ok "the exporter runs, and may ask" wait_for 30 "its answer" exporter_says '^the plugin, version .* answers$'
ok "somebody wants a file with metrics" bounded 30 systemctl enable --now ballast-metrics.timer
ok "and gets it" wait_for 30 "the metrics" test -s "$prom"
ok "ballast-kmod finds a target" ballast-kmod check
ok "a recipe runs" ballast-recipe one-lun-chap.targetcli SIZE=64M "${TO_US[@]}"
ok "ballastctl list has the LUN" list_says vol0
ok "ballast-login logs in" ballast-login 127.0.0.1 "$IQN" --chap-user "$CHAP_USER" --chap-secret-file "$SECRET_FILE"
manuals=$(cd "$LAB_SRC/targetcli-config/man" && printf '%s\n' *)
installed=$(dpkg --listfiles ballast-target ballast-tools ballast-exporter | sed -n 's|.*/man/man[1-8]/\(.*\)\.gz$|\1|p' | LC_ALL=C sort)
is "$installed" "$manuals" "each manual has its package"

newer +1 || bail "no later packages"
DEV=$(dev 0)
bounded 200 fio --name=load --filename="$DEV" --rw=randwrite --bs=4k --size=16m --iodepth=8 --ioengine=libaio --direct=1 \
    --verify=crc32c --verify_backlog=64 --rate_iops=200 --time_based --runtime=40 > "$TEST_DIR/fio.log" 2>&1 &
load=$!
sleep 5
before=$(daemon_pid)
ok "an upgrade under I/O" dpkg_does --install "${later[@]}"
like "$(dpkg-query -W -f '${Version}' ballast-target)" '\+1$' "has brought the later version"
after=$(daemon_pid)
isnt "$after" "$before" "has the daemon started anew"
ok "the load meanwhile ends well, and every block is right" wait "$load"
is "$(systemctl show -P NRestarts tcmu-runner.service)" 0 "and nothing died"

mkdir -p /etc/ballast
: > /etc/ballast/no-restart
newer +2 || bail "no later packages"
ok "an upgrade, where /etc/ballast/no-restart forbids it" dpkg_does --install "${later[@]}"
is "$(daemon_pid)" "$after" "leaves the daemon alone"
like "$(cat "$TEST_DIR/dpkg.log")" 'no-restart is there, so tcmu-runner is not restarted' "and says so"
rm -rf /etc/ballast

not_ok "removing it while there is a LUN" dpkg_does --remove ballast-target
like "$(cat "$TEST_DIR/dpkg.log")" 'not removed, because LUNs use it: vol0 - delete them first' "says which LUN"
ok "the LUN still answers" bounded 60 dd if="$DEV" of=/dev/null bs=4k count=16 iflag=direct status=none
ok "ballast-logout logs out" ballast-logout 127.0.0.1 "$IQN" --forget
clear_target
ok "then it goes" dpkg_does --purge ballast-target ballast-tools ballast-exporter
is "$(systemctl show -P Restart tcmu-runner.service)" no "its settings for systemd with it"
not_ok "and the daemon is without the plugin" grep -q ballast "/proc/$(daemon_pid)/maps"
ok "which still runs" systemctl --quiet is-active tcmu-runner.service
left=$(there_is | comm -13 "$files" - | grep -vE '^/(etc/(iscsi|rtslib-fb-target|target|tcmu)|var/lib/(ballast|iscsi))')
is "$left" "" "nothing of it is left but what was written since"
ok "the packages' own files are gone" test ! -e "$policy"
not_ok "and so is the exporter" systemctl --quiet is-active ballast-exporter.service
not_ok "and the timer that writes metrics" systemctl --quiet is-active ballast-metrics.timer
