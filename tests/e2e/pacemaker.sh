# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# This machine as a node of a Pacemaker cluster, with Ballast's resource agent installed. Sourced after lib.sh.
#
#   cluster_begin NAME=ADDRESS...  Corosync and Pacemaker, of a cluster of these nodes; one of the addresses is ours.
#                                  Waits for all of them
#   cluster_end                    both are stopped, and what they knew is forgotten
#   resource NAME LUN              the ownership of a LUN, as pcs makes it, but looked at every three seconds, and with
#                                  the times of a slow machine
#   cluster_log                    its status, in which failed actions stand with their reasons
#   cluster_says REGEX             in that status
#   runs_on RESOURCE [NODE]        it runs on that node; without NODE: on none
AGENT=/usr/lib/ocf/resource.d/ballast/ballast-lun
CIB=/var/lib/pacemaker/cib/cib.xml

cluster_begin() {
    install -D -m 0755 "$LAB_SRC/targetcli-config/ocf/ballast-lun" "$AGENT" &&
        ln -sf "$LAB_BUILD/ballastctl" /usr/local/sbin/ballastctl &&
        corosync_conf "$@" > /etc/corosync/corosync.conf || return 1
    # No fence device is here. A node that is alone elects itself at once.
    mkdir -p "${CIB%/*}" && cibadmin --empty > "$CIB" &&
        CIB_file=$CIB crm_attribute --name stonith-enabled --update false &&
        CIB_file=$CIB crm_attribute --name dc-deadtime --update 2s &&
        chown -R hacluster:haclient "${CIB%/*}" || return 1
    bounded 60 systemctl start corosync.service pacemaker.service &&
        wait_for 90 "the cluster's nodes" cluster_says "Online: \[( [a-z0-9]+){$#} \]"
}
corosync_conf() {
    local node number=0
    # An emulated CPU does not always do within a second what Corosync expects.
    printf 'totem {\n version: 2\n cluster_name: lab\n transport: udpu\n token: 10000\n}\n'
    printf 'quorum {\n provider: corosync_votequorum\n two_node: %d\n}\n' $(($# == 2))
    printf 'logging {\n to_syslog: yes\n}\nnodelist {\n'
    for node in "$@"; do
        number=$((number + 1))
        printf ' node {\n  nodeid: %d\n  name: %s\n  ring0_addr: %s\n }\n' "$number" "${node%=*}" "${node#*=}"
    done
    printf '}\n'
}
cluster_end() {
    bounded 120 systemctl stop pacemaker.service corosync.service || systemctl kill -s KILL pacemaker.service corosync.service
    rm -rf /var/lib/pacemaker/cib/* /var/lib/corosync/* /usr/lib/ocf/resource.d/ballast /usr/local/sbin/ballastctl
} >&9 2>&1

resource() {
    cibadmin --create --scope resources --xml-text "<primitive id='$1' class='ocf' provider='ballast' type='ballast-lun'>
        <instance_attributes id='$1-attributes'><nvpair id='$1-lun' name='lun' value='$2'/></instance_attributes>
        <operations><op id='$1-monitor' name='monitor' interval='3s' timeout='$((20 * ${LAB_SLOW:-1}))s'/>
        <op id='$1-probe' name='monitor' interval='0s' timeout='$((60 * ${LAB_SLOW:-1}))s'/>
        <op id='$1-start' name='start' interval='0s' timeout='$((120 * ${LAB_SLOW:-1}))s'/>
        <op id='$1-stop' name='stop' interval='0s' timeout='$((60 * ${LAB_SLOW:-1}))s'/></operations></primitive>"
}
cluster_log() { crm_mon --one-shot --inactive --failcounts 2>&1 | tee -a /dev/fd/9; }
# Pacemaker 3 begins the words of a result with a capital letter.
cluster_says() { cluster_log | grep -qiE -- "$1"; }
runs_on() { if [[ -n ${2-} ]]; then cluster_says "\* $1	.*Started $2"; else cluster_says "\* $1	.*Stopped"; fi; }
