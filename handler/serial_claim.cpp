// SPDX-License-Identifier: Apache-2.0
#include "handler/serial_claim.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "lib/base/assert.h"
#include "lib/base/log.h"
#include "lib/base/never_destroyed.h"
#include "lib/scsi/naa.h"

namespace ballast::handler {
namespace {

struct Claims {
  std::mutex mutex;
  std::vector<const SerialClaim*> all;
};
Claims& claims() {
  return never_destroyed<Claims>();
}

}  // namespace

void SerialClaim::take(const std::string& lun, std::string_view unit_serial) {
  BALLAST_ASSERT(lun_.empty());
  const std::string naa = scsi::to_string(scsi::naa_of(unit_serial));
  std::string other;
  {
    const std::lock_guard lock{claims().mutex};
    claims().all.push_back(this);
    lun_ = lun;
    naa_ = naa;
    for (const SerialClaim* const claim : claims().all) {
      // An entry with the same LUN name is this LUN before it was closed; its storage still holds
      // operations.
      if (claim->naa_ == naa && claim->lun_ != lun) {
        other = claim->lun_;
      }
    }
  }
  if (!other.empty()) {
    log(LogLevel::warning,
        "{}: has the same name for initiators as LUN {}, naa.{}: multipath takes the two for one "
        "disk and mixes up their data; give one of them another unit serial (wwn/vpd_unit_serial)",
        lun, other, naa);
  }
}

SerialClaim::~SerialClaim() {
  const std::lock_guard lock{claims().mutex};
  std::erase(claims().all, this);
}

}  // namespace ballast::handler
