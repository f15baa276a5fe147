// SPDX-License-Identifier: Apache-2.0
// The label (label.h) of a block device: where it is, also after device or LUN changed their size.
//
// It is in two pages of 4 KiB behind the LUN's end, which are its places:
//
//   the last page of the device      found when the LUN is made anew with another size
//   the first page behind the LUN    found when the device was made larger
//
// They may be the same page. A label says its own offset, so a copy in another place is none. No
// page that the LUN reaches is taken for a label, because the data in it is the initiator's.
//
// A LUN that is made smaller may grow again, and then has what it had. So the LUN ends, for its
// label, where it has ever ended: at its reach, which its record has (store_record.h).
//
// Device and LUN may both grow while the LUN is closed. Then the label is in neither place, but on
// the first page behind the LUN's reach. The LUN has never been there, so it is no data.
//
// Where the reach is not known, as on another machine, the LUN may have had data on the first page
// behind it. So this page is written then only if it has a label already, if the LUN grows, or if
// the device gets its first label.
//
// A page is made durable before the next one is written. Old places are emptied only when the label
// is in the new ones. So at each moment a whole label is where whoever opens the LUN looks, with
// its old size and with its new one. If two labels are found, the later owner's counts. Of one
// owner that one counts which names a log; this can only be too careful.
//
// These calls block.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "lib/backend/label.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

// O_DIRECT wants aligned memory.
struct alignas(4096) LabelPage {
  static constexpr std::uint64_t size = 4096;
  std::array<std::byte, size> bytes{};
};

// The device. The errors are sentences for the operator.
class LabelDevice {
 public:
  virtual ~LabelDevice() = default;
  virtual const std::string& path() const = 0;
  virtual Result<Bytes> size() = 0;
  virtual Result<void> read(std::uint64_t offset, LabelPage* to) = 0;
  // The page is durable when this returns.
  virtual Result<void> write(std::uint64_t offset, const LabelPage& from) = 0;
};

struct LunSizes {
  Bytes now;
  Bytes reach{};  // the largest that it had; 0: that is not known
};

Result<std::optional<Label>> read_label(LabelDevice& device, LunSizes lun);
// Without a label, takes the one that is there away. ENOSPC: there is no room behind the LUN.
Result<void> write_label(LabelDevice& device, LunSizes lun, const std::optional<Label>& label);
// Puts the label that read_label() has found into its places, where it is not there. ENOSPC: it
// names a log, and there is no room behind the LUN.
Result<void> settle_label(LabelDevice& device, LunSizes lun, const Label& label);
// Before a LUN grows to `size` while it is open: puts its label where it belongs then. Returns
// whether the store still has one: a label that names no log goes if there is no room for it.
// ENOSPC: as above; nothing was changed then.
Result<bool> move_label(LabelDevice& device, LunSizes lun, Bytes size, const Label& label);
// Whether a label, whole or damaged, is on the first page behind the LUN. So the LUN has this
// reach, or had it when it got the label.
Result<bool> has_label_behind_lun(LabelDevice& device, LunSizes lun);

}  // namespace ballast::backend
