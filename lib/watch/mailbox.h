// SPDX-License-Identifier: Apache-2.0
// The head of a LUN's command ring, in which the kernel's TCMU describes its abilities. These are
// the members of struct tcmu_mailbox (linux/target_core_user.h) that never change while the LUN
// exists.
#pragma once

#include <cstdint>

namespace ballast::watch {

struct Mailbox {
  std::uint16_t version = 0;
  std::uint16_t flags = 0;        // TCMU_MAILBOX_FLAG_CAP_*
  std::uint32_t ring_offset = 0;  // of the command ring, in bytes from the mailbox's beginning
  std::uint32_t ring_bytes = 0;
};

}  // namespace ballast::watch
