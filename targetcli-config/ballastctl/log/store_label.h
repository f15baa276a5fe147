// SPDX-License-Identifier: Apache-2.0
// The label (lib/backend/label.h) of a store that no LUN has open: a file, a block device, or an
// image in Ceph, written as in a configuration string.
//
// As long as a StoreLabel lives, the store is taken as a LUN takes it, so that none has it
// meanwhile: a file or device is locked, and of an image this process has the lock. An image is
// taken from an owner that has died, but not from one that lives. These calls block; refusals end
// in fail() (text/output.h).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/backend/label.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::ctl {

class StoreLabel {
 public:
  // `lun`: of a device, the LUN's size.
  static std::unique_ptr<StoreLabel> take(const std::string& store, Bytes lun);
  virtual ~StoreLabel() = default;

  // As a LUN's configuration names it: "file=/srv/vol0.raw".
  virtual std::string name() const = 0;
  // EINVAL: there is one, and it is damaged.
  virtual Result<std::optional<backend::Label>> read() = 0;
  virtual Result<void> write(const backend::Label& label) = 0;
};

// Whether this names an image in Ceph.
bool is_image(const std::string& store);

}  // namespace ballast::ctl
