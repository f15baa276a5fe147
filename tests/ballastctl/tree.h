// SPDX-License-Identifier: Apache-2.0
// A folder that looks like a machine to doctor and tune. It has sysfs with an iSCSI disk of
// Ballast, configfs with a LUN, /etc/iscsi, and an iscsiadm that keeps node records in a file.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "targetcli-config/ballastctl/machine/files.h"

namespace ballast::test {

class Tree {
 public:
  Tree();  // empty
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree();

  const std::string& root() const { return root_; }
  ctl::Files files() const { return ctl::Files{root_}; }

  void write(std::string_view path, std::string_view content) const;
  std::string read(std::string_view path) const;
  // `target` is relative, as in sysfs.
  void link(std::string_view path, std::string_view target) const;
  void remove(std::string_view path) const;

  // All files and their contents; links are not followed.
  std::map<std::string, std::string> contents() const;

  // Adds a disk "sda", "sdb", …: LUN `lun` of session 1, host 2. It has the settings that Linux and
  // iscsid have by default, and write_zeroes_max_bytes 1310720.
  void add_disk(const std::string& name, unsigned lun) const;
  // Adds a disk of another session: session 2, host 3.
  void add_other_disk(const std::string& name, std::string_view vendor) const;
  void add_machine() const;  // /proc
  void add_open_iscsi() const;
  // Makes the disks paths of one dm-multipath map, "mpatha". A multipathd runs, and has
  // multipath-tools' default settings and those of the files in /etc/multipath.
  void add_map(const std::vector<std::string>& disks) const;
  void add_multipathd() const;
  // Adds a backstore of Ballast with LIO's default settings, but hw_max_sectors 2048.
  void add_backstore(const std::string& name, unsigned hba, const std::string& configuration) const;
  // Adds a target with a TPG, LUNs 0, 1, … on these backstores, and one ACL that has all of them.
  void export_backstores(unsigned count, const std::string& depth) const;

  static constexpr const char* device = "/sys/devices/platform/host2/session1/target2:0:0/2:0:0:";
  static constexpr const char* session = "/sys/class/iscsi_session/session1/";
  static constexpr const char* connection = "/sys/class/iscsi_connection/connection1:0/";
  static constexpr const char* iqn = "iqn.2026-01.org.ballast:test";
  // A line for each `multipathd reconfigure`.
  static constexpr const char* reconfigured = "/run/fake-reconfigured";
  static constexpr const char* node_record = "/var/lib/fake-nodes/record";
  static constexpr const char* acl =
      "/sys/kernel/config/target/iscsi/iqn.2026-01.org.ballast:test/tpgt_1/acls/iqn.2026-01.org.a/";

 private:
  std::string root_;
};

}  // namespace ballast::test
