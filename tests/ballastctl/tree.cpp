// SPDX-License-Identifier: Apache-2.0
#include "tests/ballastctl/tree.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "lib/base/assert.h"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

// As open-iscsi's own: `-o show` prints the record, `-o update -n NAME -v VALUE` changes a line.
constexpr const char* iscsiadm = R"(#!/bin/sh
record="$(dirname "$0")/../../var/lib/fake-nodes/record"
[ -f "$record" ] || { echo "iscsiadm: No records found" >&2; exit 21; }
while [ $# -gt 0 ]; do
  case $1 in
    -o) operation=$2; shift ;;
    -n) name=$2; shift ;;
    -v) value=$2; shift ;;
  esac
  shift
done
case $operation in
  show) cat "$record" ;;
  update)
    grep -qF "$name = " "$record" || exit 7
    while IFS= read -r line; do
      case $line in
        "$name = "*) echo "$name = $value" ;;
        *) echo "$line" ;;
      esac
    done < "$record" > "$record.new" && mv "$record.new" "$record" ;;
  *) exit 7 ;;
esac
)";

constexpr const char* record = R"(# BEGIN RECORD 2.1.8
node.name = iqn.2026-01.org.ballast:test
node.session.timeo.replacement_timeout = 120
node.session.err_timeo.abort_timeout = 15
node.session.err_timeo.lu_reset_timeout = 30
node.session.err_timeo.tgt_reset_timeout = 30
node.conn[0].address = 192.0.2.10
node.conn[0].timeo.noop_out_interval = 5
node.conn[0].timeo.noop_out_timeout = 5
# END RECORD
)";

constexpr const char* iscsid_conf = R"(# A comment that mentions node.conn[0].timeo.noop_out_timeout
node.startup = manual
node.session.timeo.replacement_timeout = 120
node.session.err_timeo.abort_timeout = 15
node.session.err_timeo.lu_reset_timeout = 30
node.session.err_timeo.tgt_reset_timeout = 30
node.conn[0].timeo.noop_out_interval = 5
node.conn[0].timeo.noop_out_timeout = 5
)";

// As multipathd's own, which shows what it has read, and answers "ok".
constexpr const char* multipathd = R"(#!/bin/sh
root="$(dirname "$0")/../.."
case $* in
  "show config local")
    cat "$root/run/fake-defaults"
    for file in "$root/etc/multipath.conf" "$root/etc/multipath/conf.d/"*.conf; do
      [ ! -f "$file" ] || cat "$file"
    done ;;
  reconfigure) echo ok | tee -a "$root/run/fake-reconfigured" ;;
  *) exit 1 ;;
esac
)";

// Of `multipathd show config local`, what matters here and some of the rest.
constexpr const char* multipath_defaults = R"(defaults {
	verbosity 2
	polling_interval 5
	path_selector "service-time 0"
	features "0"
	fast_io_fail_tmo 5
	find_multipaths "strict"
}
devices {
  device {
    vendor "LIO-ORG" product "TCMU device" no_path_retry 12
  }
}
overrides {
}
)";

}  // namespace

Tree::Tree() {
  std::string pattern = (fs::temp_directory_path() / "ballastctl.XXXXXX").string();
  const char* const made = ::mkdtemp(pattern.data());
  BALLAST_ASSERT(made != nullptr);
  root_ = fs::canonical(made).string();
}

Tree::~Tree() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

void Tree::write(std::string_view path, std::string_view content) const {
  const fs::path file = root_ + std::string{path};
  fs::create_directories(file.parent_path());
  std::ofstream{file, std::ios::binary} << content;
}

std::string Tree::read(std::string_view path) const {
  std::ifstream file{root_ + std::string{path}, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

void Tree::link(std::string_view path, std::string_view target) const {
  const fs::path from = root_ + std::string{path};
  const fs::path to = root_ + std::string{target};
  fs::create_directories(from.parent_path());
  fs::create_directories(to);
  fs::create_symlink(fs::relative(to, from.parent_path()), from);
}

void Tree::remove(std::string_view path) const {
  fs::remove_all(root_ + std::string{path});
}

std::map<std::string, std::string> Tree::contents() const {
  std::map<std::string, std::string> all;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator{root_}) {
    if (entry.is_regular_file() && !entry.is_symlink()) {
      const std::string path = entry.path().string().substr(root_.size());
      all[path] = read(path);
    }
  }
  return all;
}

void Tree::add_disk(const std::string& name, unsigned lun) const {
  const std::string folder = fmt::format("{}{}", device, lun);
  write(folder + "/vendor", "BALLAST \n");
  write(folder + "/model", fmt::format("vol{}            \n", lun));
  write(folder + "/state", "running\n");
  write(folder + "/timeout", "30\n");
  write(folder + "/eh_timeout", "10\n");
  write(folder + "/queue_depth", "32\n");
  link("/sys/block/" + name + "/device", folder);
  write("/sys/block/" + name + "/queue/write_zeroes_max_bytes", "1310720\n");
  write(fmt::format("/sys/class/scsi_disk/2:0:0:{}/max_retries", lun), "5\n");
  write("/sys/class/scsi_host/host2/eh_deadline", "off\n");
  const std::string of_session{session}, of_connection{connection};
  write(of_session + "targetname", std::string{iqn} + "\n");
  write(of_session + "state", "LOGGED_IN\n");
  write(of_session + "ifacename", "default\n");
  write(of_session + "recovery_tmo", "120\n");
  write(of_session + "abort_tmo", "15\n");
  write(of_session + "lu_reset_tmo", "30\n");
  write(of_session + "tgt_reset_tmo", "30\n");
  write(of_connection + "persistent_address", "192.0.2.10\n");
  write(of_connection + "persistent_port", "3260\n");
  write(of_connection + "recv_tmo", "5\n");
  write(of_connection + "ping_tmo", "5\n");
}

void Tree::add_other_disk(const std::string& name, std::string_view vendor) const {
  const std::string folder = "/sys/devices/platform/host3/session2/target3:0:0/3:0:0:0";
  write(folder + "/vendor", std::string{vendor} + "\n");
  write(folder + "/timeout", "30\n");
  link("/sys/block/" + name + "/device", folder);
}

void Tree::add_machine() const {
  write("/proc/sys/kernel/hung_task_timeout_secs", "120\n");
  write("/proc/sys/kernel/hung_task_panic", "0\n");
  write("/proc/sys/vm/dirty_bytes", "0\n");
  write("/proc/sys/vm/dirty_ratio", "20\n");
  write("/proc/sys/vm/dirty_background_bytes", "0\n");
  write("/proc/sys/vm/dirty_background_ratio", "10\n");
  write("/proc/meminfo", "MemTotal:        3000000 kB\nMemAvailable:    2621440 kB\n");
}

void Tree::add_open_iscsi() const {
  write("/usr/sbin/iscsiadm", iscsiadm);
  fs::permissions(root_ + "/usr/sbin/iscsiadm",
                  fs::perms::owner_all | fs::perms::others_exec | fs::perms::others_read);
  write(node_record, record);
  write("/etc/iscsi/iscsid.conf", iscsid_conf);
}

void Tree::add_map(const std::vector<std::string>& disks) const {
  write("/sys/block/dm-0/dm/uuid", "mpath-36001405b5f9e7d\n");
  write("/sys/block/dm-0/dm/name", "mpatha\n");
  for (const std::string& disk : disks) {
    link("/sys/block/" + disk + "/holders/dm-0", "/sys/block/dm-0");
    link("/sys/block/dm-0/slaves/" + disk, "/sys/block/" + disk);
  }
  add_multipathd();
}

void Tree::add_multipathd() const {
  write("/usr/sbin/multipathd", multipathd);
  fs::permissions(root_ + "/usr/sbin/multipathd",
                  fs::perms::owner_all | fs::perms::others_exec | fs::perms::others_read);
  write("/run/fake-defaults", multipath_defaults);
  write("/run/multipathd.pid", "812");
  write("/proc/812/comm", "multipathd\n");
}

void Tree::add_backstore(const std::string& name, unsigned hba,
                         const std::string& configuration) const {
  const std::string folder =
      fmt::format("/sys/kernel/config/target/core/user_{}/{}/attrib", hba, name);
  write(folder + "/dev_config", "ballast/" + configuration + "\n");
  write(folder + "/cmd_time_out", "0\n");
  write(folder + "/hw_max_sectors", "2048\n");
  write(folder + "/hw_block_size", "512\n");
  write(folder + "/max_data_area_mb", "1024\n");
}

void Tree::export_backstores(unsigned count, const std::string& depth) const {
  const std::string group = fmt::format("/sys/kernel/config/target/iscsi/{}/tpgt_1", iqn);
  write(std::string{acl} + "cmdsn_depth", depth + "\n");
  write(group + "/attrib/default_cmdsn_depth", "64\n");
  write(group + "/attrib/generate_node_acls", "0\n");
  for (unsigned lun = 0; lun < count; ++lun) {
    const std::string of_group = fmt::format("{}/lun/lun_{}", group, lun);
    link(of_group + "/4711", fmt::format("/sys/kernel/config/target/core/user_{}/vol{}", lun, lun));
    link(fmt::format("{}lun_{}/link", acl, lun), of_group);
  }
}

}  // namespace ballast::test
