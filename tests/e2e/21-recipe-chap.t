#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 500
# One LUN, one initiator, CHAP: recipe one-lun-chap.targetcli, ballast-login, ballast-logout.
. "$(dirname "$0")/recipes.sh"
IQN=iqn.2026-01.org.ballast:vol0
plan 36

fresh_daemon
preferences() { md5sum /root/.targetcli/prefs.bin 2>&1; }
before=$(preferences)
file_of /srv/vol0.raw 64M
ok "the recipe runs" recipe one-lun-chap.targetcli SIZE=64M "${TO_US[@]}"
unlike "$(< "$tap_said")" 'a-Secret' "it does not show the secret"
ok "the configuration is saved" test -s "$saved_config"
is "$(stat -c %a "$saved_config")" 600 "for root's eyes"
is "$(cat "$(tpg)/attrib/authentication")$(cat "$(tpg)/attrib/generate_node_acls")" 10 "the target asks for CHAP and takes no strangers"
is "$(ls "$(tpg)/np")" 127.0.0.1:3260 "it listens where it was told, and nowhere else"
is "$(preferences)" "$before" "no preferences of targetcli changed"

# --- who gets in ---
not_ok "no login without CHAP" plain_login
like "$(< "$tap_said")" 'the target knows neither this initiator' "and the reason is said"
not_ok "no login with a wrong secret" chap_login "$WRONG_SECRET_FILE"
not_ok "no disk came of it" logged_in
ok "login with user and secret" chap_login "$SECRET_FILE"
like "$(< "$tap_said")" '^/dev/sd[a-z]+ /dev/disk/by-path/.*-lun-0$' "the disk's names are printed"
DEV=$(dev 0)
is "$(blockdev --getsize64 "$DEV")" $((64 << 20)) "it has the LUN's size"
ok "it takes data" dd if=/dev/urandom of="$DEV" bs=1M count=4 oflag=direct status=none
ok "login again is no error" chap_login "$SECRET_FILE"

# --- another portal of the target
mkdir "$(tpg)/np/[::1]:3260" || bail "no portal for IPv6"
there=('[::1]' "$IQN")
ok "login there, too" bounded 90 "$CONFIG_DIR/ballast-login" "${there[@]}" --chap-user "$CHAP_USER" --chap-secret-file "$SECRET_FILE"
like "$(< "$tap_said")" '^/dev/sd[a-z]+ /dev/disk/by-path/ip-::1:3260-iscsi-.*-lun-0$' "which gives a disk of its own"
ok "logout there" bounded 60 "$CONFIG_DIR/ballast-logout" "${there[@]}" --forget
ok "the first session stays" logged_in
ok "logout there again is no error" bounded 60 "$CONFIG_DIR/ballast-logout" "${there[@]}"
IQN=$IQN-of-nobody not_ok "no login to a target that is not there" chap_login "$SECRET_FILE"
like "$(< "$tap_said")" 'perhaps there is none of that name at 127.0.0.1:3260' "and the reason is said"
IQN=$IQN-of-nobody chap_logout --forget >&9 2>&1

# --- the secret stays where it belongs ---
record=$(find {/etc,/var/lib}/iscsi/nodes -type f 2> /dev/null)
is "$(stat -c '%a %U' "$record")" "600 root" "open-iscsi's record is root's alone"
is "$(grep -c '^node.session.auth.password = ' "$record")" 1 "the secret stands in it once"
ok "iscsiadm still reads it" iscsiadm -m node -T "$IQN"
unlike "$(cat /proc/*/cmdline 2> /dev/null | tr '\0' ' ')" 'a-Secret_of' "no process has it on its command line"

# --- logout ---
mkfs.ext4 -q -E nodiscard "$DEV"
mount "$DEV" "$MNT"
not_ok "no logout under a mounted file system" chap_logout
like "$(< "$tap_said")" "is mounted on $MNT" "and the reason is said"
umount "$MNT"
ok "logout" chap_logout --forget
ok "no disk is left" wait_for 20 "the disks to go" no_disks
not_ok "the record is gone, and with it the secret" grep -rq 'a-Secret' /etc/iscsi /var/lib/iscsi

# --- another initiator ---
echo 'InitiatorName=iqn.2026-01.org.ballast:stranger' > /etc/iscsi/initiatorname.iscsi
bounded 20 systemctl restart iscsid.service
not_ok "a stranger is not let in, secret or not" chap_login "$SECRET_FILE"
unlike "$(iscsiadm -m discovery -t sendtargets -p "$PORTAL" 2>&1)" "$IQN" "nor told that the target exists"
echo "InitiatorName=$INITIATOR" > /etc/iscsi/initiatorname.iscsi
bounded 20 systemctl restart iscsid.service

# --- a recipe that fails ---
rm "$saved_config"
not_ok "the same recipe again: the name is taken" recipe one-lun-chap.targetcli SIZE=64M "${TO_US[@]}"
ok "and nothing is saved" test ! -e "$saved_config"
