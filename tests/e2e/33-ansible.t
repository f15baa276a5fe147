#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Ansible role makes a LUN, leaves it alone when it runs again, and says what ballast-recipe says of a mistake.
# timeout: 900
. "$(dirname "$0")/recipes.sh"
[[ $BACKSTORE == ballast ]] || skip_all "the role is Ballast's"
[[ -n ${BALLAST_LONG-} ]] || skip_all "each run of a playbook takes a minute: BALLAST_LONG=1"
IQN=iqn.2026-01.com.example:vol0
plan 15

export PATH=$CONFIG_DIR:$LAB_BUILD:$PATH LC_ALL=C.UTF-8
export ANSIBLE_ROLES_PATH=$LAB_SRC/contrib/ansible/roles ANSIBLE_PIPELINING=1 ANSIBLE_NOCOLOR=1 ANSIBLE_LOCAL_TEMP=/run/ansible
# play [VALUE=...]: the playbook of the role's README, for this machine, with another value.
play() {
    local change script=(-e 's/hosts: targets/hosts: localhost/' -e "s/192.0.2.10/127.0.0.1/" -e 's/100G/64M/'
        -e "s/initiator: .*/initiator: $INITIATOR/" -e "s/chap_user: .*/chap_user: $CHAP_USER/"
        -e "s/^      ballast_lun_luns/      ballast_lun_packages: []\n&/")
    for change in "$@"; do script+=(-e "s|^\([- ]* ${change%%=*}:\) .*|\1 ${change#*=}|"); done
    sed -n '/^```yaml/,/^```$/{/^```/!p}' "$LAB_SRC/contrib/ansible/roles/ballast_lun/README.md" |
        sed "${script[@]}" > /run/playbook.yml
    printf 'vault_vol0_secret: %s\n' "$(< "$SECRET_FILE")" > /run/vault.yml
    bounded 200 ansible-playbook --connection local --inventory localhost, --extra-vars @/run/vault.yml /run/playbook.yml
}
recap() { sed -n 's/^localhost *: *//p' "$tap_said" | tr -s ' '; }
store_is() { cmp -n $((1 << 20)) /srv/pattern /srv/vol0.raw; }

bus_policy
fresh_daemon
ok "the role runs" play
like "$(recap)" ' changed=1 .*failed=0' "it made the LUN"
unlike "$(journalctl --boot --output=cat; cat "$tap_said")" 'a-Secret' "and told nobody the secret"
ok "login with the secret" chap_login "$SECRET_FILE"
head -c $((1 << 20)) /dev/urandom > /srv/pattern
ok "a write" dd if=/srv/pattern of="$(dev 0)" bs=1M oflag=direct status=none
ok "which the store has" store_is

ok "the role again" play
like "$(recap)" ' changed=0 .*failed=0' "changes nothing"
ok "the initiator is still there" logged_in
ok "and so is what it wrote" store_is

not_ok "a LUN in a folder that is not there" play volume=vol1 target=iqn.2026-01.com.example:vol1 config=file=/nowhere/vol1.raw
like "$(< "$tap_said")" 'Error: cfgstring invalid: /nowhere/vol1.raw cannot be created: there is no directory /nowhere: create it first' \
    "the role says what ballast-recipe says"
like "$(< "$tap_said")" 'ballast-recipe: not all of it worked, so nothing was saved' "all of it"

rm "$saved_config"
not_ok "a LUN that is there, but was not saved" play
like "$(< "$tap_said")" 'vol0 is there, but .*is not in .*An earlier run may have failed halfway' "the role does not call that well"
