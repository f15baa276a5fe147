# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# What the tests of targetcli-config/ share: sourced by 21-*.t to 26-*.t.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CONFIG_DIR=$LAB_SRC/targetcli-config
RECIPES=$CONFIG_DIR/recipes
CHAP_USER=lab-user
SECRET_FILE=/run/$TEST_NAME.secret
(umask 077 && echo 'a-Secret_of+16.c' > "$SECRET_FILE")
WRONG_SECRET_FILE=/run/$TEST_NAME.wrong
(umask 077 && echo 'another-Secret..' > "$WRONG_SECRET_FILE")
# What every recipe for a new target needs.
TO_US=(PORTAL=127.0.0.1 "INITIATOR=$INITIATOR" "CHAP_USER=$CHAP_USER" "CHAP_SECRET=@$SECRET_FILE")

# recipe NAME VALUE...: runs it as an operator does.
recipe() { "$CONFIG_DIR/ballast-recipe" "$(recipe_file "$1")" "${@:2}" 3>&-; }
# The recipes name user:ballast; another handler (E2E_BACKSTORE) wants the path of a file that is there.
recipe_file() {
    [[ $BACKSTORE != ballast ]] || { echo "$RECIPES/$1"; return; }
    local folder=/run/$TEST_NAME.recipes
    mkdir -p "$folder"
    cp "$RECIPES"/* "$folder/"
    sed -i "s/user:ballast/user:$BACKSTORE/g; s/file=//; s/\"ballast\//\"$BACKSTORE\//" "$folder"/*
    echo "$folder/$1"
}
# The file of a LUN about to be made.
file_of() { # PATH SIZE
    [[ $BACKSTORE == ballast ]] || truncate -s "$2" "$1"
}
# iscsid tries for two minutes, whatever the machine's pace.
chap_login() { # SECRET_FILE [OPTION...]
    bounded 180 "$CONFIG_DIR/ballast-login" 127.0.0.1 "$IQN" --chap-user "$CHAP_USER" --chap-secret-file "$1" "${@:2}"
}
plain_login() { bounded 90 "$CONFIG_DIR/ballast-login" 127.0.0.1 "$IQN" "$@"; }
all_disks() { # LUN...
    local lun
    for lun; do [[ -b $(by_path "$lun") ]] || return 1; done
}
chap_logout() { bounded 60 "$CONFIG_DIR/ballast-logout" 127.0.0.1 "$IQN" "$@"; }
saved_config=/etc/rtslib-fb-target/saveconfig.json
