#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# targetctl saves, clears and restores a target with all that an operator has set: big transfers,
# attributes, CHAP, and the data.
# timeout: 240
. "$(dirname "$0")/disk.sh"
[[ $BACKSTORE == ballast ]] || skip_all "about user:ballast only"
plan 17

mib=$((1 << 20))
secret=a-lab-secret-of-24-chars
saved=/etc/rtslib-fb-target/saveconfig.json

fresh_daemon
said=$(tcli << END
/backstores/user:ballast create name=vol0 size=64M cfgstring=$(backing vol0) hw_max_sectors=2048
/backstores/user:ballast create name=vol1 size=64M cfgstring=$(backing vol1) control=hw_block_size=4096
/backstores/user:ballast/vol0 set attribute cmd_time_out=45
/iscsi create $IQN
/iscsi/$IQN/tpg1 set attribute authentication=1 generate_node_acls=0
/iscsi/$IQN/tpg1/luns create /backstores/user:ballast/vol0 lun=0 add_mapped_luns=false
/iscsi/$IQN/tpg1/luns create /backstores/user:ballast/vol1 lun=1 add_mapped_luns=false
/iscsi/$IQN/tpg1/acls create $INITIATOR
/iscsi/$IQN/tpg1/acls/$INITIATOR create mapped_lun=0 tpg_lun_or_backstore=lun0
/iscsi/$IQN/tpg1/acls/$INITIATOR create mapped_lun=1 tpg_lun_or_backstore=lun1
/iscsi/$IQN/tpg1/acls/$INITIATOR set auth userid=lab password=$secret
exit
END
)
unlike "$said" 'failed|invalid|rror' "targetcli makes two LUNs with CHAP"
wwn_before=$(cat "$CONFIGFS"/core/user_*/vol0/wwn/vpd_unit_serial)

chap_login() { # SECRET
    iscsi_set node.session.auth.authmethod CHAP && iscsi_set node.session.auth.username lab &&
        iscsi_set node.session.auth.password "$1" && login 2
}
not_ok "a wrong secret is refused" chap_login not-the-right-secret
ok "the right one is taken" chap_login "$secret"
settings() {
    echo "$(queue 0 max_hw_sectors_kb) $(block_limit 'Maximum transfer length')"
    echo "$(queue 1 logical_block_size) $(blockdev --getsize64 "$(dev 1)")"
    cat "$CONFIGFS"/core/user_*/vol0/attrib/cmd_time_out
    sg_vpd -p di "$DEV" | grep -o '0x6001405.*'
}
before=$(settings)
like "$before" '^[0-9]+ 2048$' "big transfers are on"
like "$before" "4096 $((64 * mib))" "the second LUN has blocks of 4096"
fill_random 0 $((8 * mib))
mkfs.ext4 -q "$(dev 1)" && mount "$(dev 1)" "$MNT" && cp "$MODEL" "$MNT/data" && bounded 30 umount "$MNT"
logout

ok "targetctl save" bounded 60 targetctl save
like "$(jq -r '.storage_objects[].config' "$saved")" "^ballast/.*$(backing vol0)$" "the file holds the whole configuration string"
ok "targetctl clear" bounded 60 targetctl clear
is "$(configfs_leftovers)" "" "nothing is left in LIO"
not_ok "nobody has the volumes open" fuser "$(backing vol0)" "$(backing vol1)"
ok "targetctl restore" bounded 60 targetctl restore

ok "login as before" login 2
is "$(settings)" "$before" "every setting is as before"
is "$(cat "$CONFIGFS"/core/user_*/vol0/wwn/vpd_unit_serial)" "$wwn_before" "and the serial number"
ok "the data of LUN 0 is there" matches_model "$DEV"
mount "$(dev 1)" "$MNT"
ok "the data of LUN 1 is there" cmp "$MODEL" "$MNT/data"
bounded 30 umount "$MNT"
logout
not_ok "a wrong secret is still refused" chap_login not-the-right-secret
