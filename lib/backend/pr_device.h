// SPDX-License-Identifier: Apache-2.0
// PrDevice: persistent reservations of a SCSI disk, or of dm-multipath over one.
//
// A key is registered with IOC_PR_REGISTER (linux/pr.h), because dm-multipath then registers it on
// each path. Everything else is a SCSI command of its own, by SG_IO: Linux has an ioctl that reads
// the holder only since 6.19; and its IOC_PR_PREEMPT_ABORT has a time limit and is repeated, while
// that command takes as long as the robbed owner's commands need to end. A command that ends with a
// unit attention was not carried out, and is repeated here.
//
// All calls block, as long as the device hangs: make them on a thread that may. They return 0,
// -EBADE for RESERVATION CONFLICT, -EOPNOTSUPP if the device has no persistent reservations, or
// another negative errno.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/backend/pr_ownership.h"
#include "lib/base/result.h"

namespace ballast::backend {

class PrDevice {
 public:
  // `fd` is open for writing, and outlives this object.
  explicit PrDevice(int fd) : fd_{fd} {}

  int read_holder(std::optional<PrHolder>* holder);
  // Registers `key` in place of `old`. No `old`: in place of whatever this machine had registered.
  int register_key(std::optional<PrKey> old, PrKey key);
  int reserve(PrKey key);
  int preempt_and_abort(PrKey key, PrKey other);
  int reset();

 private:
  int command(std::span<std::uint8_t> cdb, int direction, std::span<std::uint8_t> data);
  int out(std::uint8_t action, PrKey key, PrKey other);

  int fd_;
};

// Whether the device has persistent reservations that Ballast can use. The error is a sentence.
Result<void> check_reservations(const char* path, int fd);

}  // namespace ballast::backend
