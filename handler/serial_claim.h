// SPDX-License-Identifier: Apache-2.0
// The unit serials that the LUNs of this daemon show, kept so that Ballast notices two LUNs with
// the same name for initiators.
//
// Initiators tell disks apart by the NAA designator, which is made of the serial (lib/scsi/naa.h).
// Multipath merges two LUNs with the same designator into one disk, and writes now to the one, now
// to the other. Nothing refuses such a pair, so Ballast logs a warning.
//
// A claim is a member of its LUN's Device and ends with it. Any thread.
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

  // Call it at most once. Logs a warning with both names if a LUN with another name has the same
  // designator. May throw std::bad_alloc.
  void take(const std::string& lun, std::string_view unit_serial);

 private:
  std::string lun_;  // empty: nothing is claimed
  std::string naa_;
};

}  // namespace ballast::handler
