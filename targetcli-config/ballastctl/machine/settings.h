// SPDX-License-Identifier: Apache-2.0
// The disks of an initiator that Ballast serves, and the settings that decide how they fare while
// the store behind a LUN is frozen.
//
// Ballast's disks are SCSI disks of vendor BALLAST below an iSCSI session. All values are read from
// sysfs and /proc/sys; nothing here writes. The attributes are in drivers/scsi: scsi_sysfs.c
// (timeout, eh_timeout, queue_depth), sd.c (max_retries), hosts.c (eh_deadline),
// scsi_transport_iscsi.c (the rest). Blocks; single-threaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/machine/multipath.h"
#include "targetcli-config/ballastctl/machine/timeline.h"

namespace ballast::ctl {

// One attribute as it was found.
struct Value {
  std::string path;                 // of the attribute's file
  std::optional<std::string> text;  // nullopt: this kernel has no such file, or it may not be read
  std::optional<std::int64_t> number() const { return text ? whole_number(*text) : std::nullopt; }
};

struct Disk {
  std::string name;     // "sda"
  std::string address;  // "2:0:0:1": host, channel, target, LUN
  std::string model;
  std::uint64_t lun = 0;
  std::string host;       // "host2"
  std::string session;    // "session1"
  std::string target;     // IQN
  std::string portal;     // "192.0.2.10:3260", "[2001:db8::1]:3260"; in the form of the node record
  std::string interface;  // the name of open-iscsi's interface, "default"
  std::optional<multipath::Map> map;  // that the disk is a path of
  // The disk, or another disk of its session, is a path of a map.
  Paths paths = Paths::one;
  // Attributes of the disk.
  Value timeout, eh_timeout, max_retries, queue_depth, write_zeroes_max_bytes;
  // Of the disk's host.
  Value eh_deadline;
  // Of the disk's session and connection.
  Value replacement_timeout, abort_timeout, lu_reset_timeout, tgt_reset_timeout;
  Value noop_out_interval, noop_out_timeout;
};

// Settings of the whole machine.
struct Machine {
  Value hung_task_timeout, hung_task_panic;
  Value dirty_bytes, dirty_ratio, dirty_background_bytes, dirty_background_ratio;
  // MemAvailable; the dirty ratios are percentages of about this.
  std::optional<std::uint64_t> available_bytes;
};

// Returns all of Ballast's disks, or the named ones ("sda", "/dev/sda", or a link to it). The error
// says which name is no such disk, and why.
Result<std::vector<Disk>> disks(const Files& files, const std::vector<std::string>& names);
Machine machine(const Files& files);

// What multipath.conf matches the disk with.
multipath::Identity identity_of(const Disk& disk);

// The settings for the model of timeline.h. An unknown one has the default of Linux or of iscsid.
timeline::Settings timeline_settings(const Disk& disk);

}  // namespace ballast::ctl
