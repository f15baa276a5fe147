// SPDX-License-Identifier: Apache-2.0
// Notices: what the kernel says of task management in a device's command ring.
//
// ABORT TASK and LUN RESET wait in the kernel until the commands they are about are answered. With
// the device's attribute tmr_notification set, the kernel names these commands in an entry of the
// ring (TCMU_OP_TMR). libtcmu knows no such entries and passes over them, so they are looked for
// here, between cmd_tail and cmd_head, where the entry stays at least as long as the oldest of its
// commands is unanswered.
//
// Whoever holds the executor's baton, so that nobody answers (moves cmd_tail) meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "handler/ring_entries.h"
#include "handler/tcmur_abi.h"

namespace ballast::handler {

class Notices {
 public:
  // `mapping` begins with the mailbox and outlives this.
  explicit Notices(std::span<std::byte> mapping);

  // The ids of the commands that are to end, from all notices that were not taken before; sorted,
  // and valid until the next call. A taken notice is emptied where it stands. An id may be that of
  // a command that was answered since, or of a newer one: ids are used again.
  std::span<const std::uint16_t> take();

 private:
  void take_from(std::span<std::byte> entry);

  std::span<std::byte> mapping_;
  RingEntries entries_;
  std::vector<std::uint16_t> ids_;
};

// Whether the kernel was asked to write notices for this device: from now on, until it is removed.
// Blocks on a file of configfs.
bool ask_for_notices(abi::tcmu_device* dev);

}  // namespace ballast::handler
