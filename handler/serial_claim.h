// SPDX-License-Identifier: Apache-2.0
// The unit serials that the LUNs of this daemon show, so that two of one name are noticed.
//
// Initiators tell disks apart by the NAA designator, which is made of the serial (lib/scsi/naa.h):
// multipath merges two LUNs that have the same into one disk, and writes now to the one, now to the
// other. Nothing refuses that, so it is logged.
//
// A claim is a member of its LUN and is given back with it. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace ballast::handler {

class SerialClaim {
 public:
  SerialClaim() = default;
  ~SerialClaim();
  SerialClaim(const SerialClaim&) = delete;
  SerialClaim& operator=(const SerialClaim&) = delete;

  // Once. Logs a warning with both names if another LUN shows the same. May throw std::bad_alloc.
  void take(const std::string& lun, std::string_view unit_serial);

 private:
  std::string lun_;  // empty: nothing is claimed
  std::string naa_;
};

}  // namespace ballast::handler
