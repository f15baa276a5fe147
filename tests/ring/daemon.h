// SPDX-License-Identifier: Apache-2.0
// What the two halves of the host share: the daemon's device, and its cmdproc thread.
#pragma once

#include <atomic>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "tests/ring/host.h"

// The daemon's opaque type: here it is ours.
struct ballast::handler::abi::tcmu_device {
  std::span<std::byte> mapping;
  int event_fd = -1;
  std::atomic<std::uint32_t> cmd_tail{0};  // the daemon's read position
  std::string cfgstring;
  std::string uio_name;
  std::uint64_t num_lbas = 0;
  std::uint32_t block_size = 0;
  std::uint32_t max_xfer_len = 0;
  const char* unit_serial = nullptr;
  int command_timeout = 0;
  void* handler_private = nullptr;
  void (*doorbell)(void* lun) = nullptr;
  void* lun = nullptr;

  tcmu_mailbox* mailbox() const { return reinterpret_cast<tcmu_mailbox*>(mapping.data()); }
};

namespace ballast::ring_test {

abi::tcmur_handler& handler();
// What GLib's g_main_depth() tells the plugin: 0, the daemon is starting; 1, its main loop runs.
void set_main_loop_depth(int depth);
void* cmdproc(void* device);

}  // namespace ballast::ring_test
