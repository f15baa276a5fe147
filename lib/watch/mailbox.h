// SPDX-License-Identifier: Apache-2.0
// The head of a LUN's command ring, by which the kernel's TCMU says what it can do: the members of
// struct tcmu_mailbox (linux/target_core_user.h) that do not change while the LUN is there.
#pragma once

#include <cstdint>

namespace ballast::watch {

struct Mailbox {
  std::uint16_t version = 0;
  std::uint16_t flags = 0;        // TCMU_MAILBOX_FLAG_CAP_*
  std::uint32_t ring_offset = 0;  // bytes, of the command ring, from the mailbox's beginning
  std::uint32_t ring_bytes = 0;
};

}  // namespace ballast::watch
