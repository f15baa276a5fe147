// SPDX-License-Identifier: Apache-2.0
// GroupReader: reads the target port groups of a LUN (alua.h) without waiting for configfs. Looking
// into its folders may take as long as somebody changes them. So an errand does it, and nobody
// waits for the errand. Any thread, but one user at a time.
#pragma once

#include <memory>
#include <optional>

#include "handler/alua.h"
#include "handler/tcmur_abi.h"

namespace ballast::handler {

class GroupReader {
 public:
  // Walks a path, so make it only while the daemon adds the device (attributes.h).
  explicit GroupReader(abi::tcmu_device* dev);
  ~GroupReader();
  GroupReader(const GroupReader&) = delete;
  GroupReader& operator=(const GroupReader&) = delete;

  // Begins to read, unless that is under way. May throw std::bad_alloc.
  void ask();
  // The reading that has ended since the last call.
  std::optional<GroupReading> take();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace ballast::handler
