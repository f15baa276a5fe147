#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 500
# The JSON recipe, and targetctl's clear, restore and save with our LUNs.
. "$(dirname "$0")/recipes.sh"
IQN=iqn.2026-01.org.ballast:vol0
plan 17

serial=5f8f2a3e-7d1b-4c5e-9a57-0123456789ab
fresh_daemon
# Of a LUN in the saved configuration the file must be there.
truncate -s 64M /srv/vol0.raw
mkdir -p /etc/rtslib-fb-target
(umask 077 && "$CONFIG_DIR/ballast-recipe" --print "$(recipe_file one-lun-chap.saveconfig.json)" \
    SIZE_BYTES=$((64 << 20)) "SERIAL=$serial" "${TO_US[@]}" > "$saved_config")
ok "the recipe is JSON" jq -e . "$saved_config"
ok "the service that restores at boot starts" bounded 60 systemctl restart rtslib-fb-targetctl.service
start=$(systemctl show -P InvocationID rtslib-fb-targetctl.service)
unlike "$(journalctl _SYSTEMD_INVOCATION_ID="$start" -o cat)" 'skipped' "it skipped nothing"
ok "login" chap_login "$SECRET_FILE"
DEV=$(dev 0)
is "$(cat "/sys/block/${DEV#/dev/}/queue/max_sectors_kb")" 1024 "with transfers of 1 MiB"
like "$(udevadm info -q property "$DEV")" "$(tr -d - <<< "${serial:0:20}")" "the by-id name is made of the serial"
dd if=/dev/urandom of=/srv/pattern bs=1M count=2 status=none
ok "data is written" dd if=/srv/pattern of="$DEV" bs=1M oflag=direct conv=fsync status=none
ok "logout" chap_logout

ok "save" bounded 60 targetctl save "$TEST_DIR/saved.json"
chmod 644 "$TEST_DIR/saved.json"
ok "clear" bounded 60 targetctl clear
is "$(configfs_leftovers)" "" "leaves nothing"
ok "restore what was saved" bounded 60 targetctl restore "$TEST_DIR/saved.json"
ok "login again" chap_login "$SECRET_FILE"
ok "the data is there" cmp -n $((2 << 20)) /srv/pattern "$(dev 0)"
ok "logout again" chap_logout

# --- a LUN that cannot open ---
bounded 60 targetctl clear
jq '.storage_objects[0].config = "'"$BACKSTORE"'/file=/nowhere/vol0.raw"' "$TEST_DIR/saved.json" > "$TEST_DIR/broken.json"
said=$(bounded 60 targetctl restore "$TEST_DIR/broken.json" 2>&1)
like "$said" 'Could not create StorageObject vol0.*skipped' "a LUN that cannot open is skipped"
expect_log 'nowhere'
