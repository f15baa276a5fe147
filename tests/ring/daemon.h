// SPDX-License-Identifier: Apache-2.0
// Shared by the two halves of the host: the daemon's device and its cmdproc thread.
#pragma once

#include <atomic>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "tests/ring/host.h"

// The type that is opaque to plugins of the daemon. Here the host defines it.
struct ballast::handler::abi::tcmu_device {
  std::span<std::byte> mapping;
  int event_fd = -1;
  std::atomic<std::uint32_t> cmd_tail{0};  // the position up to which the daemon has read
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
// The value that GLib's g_main_depth() tells the plugin. 0: the daemon is starting; 1: its main
// loop runs.
void set_main_loop_depth(int depth);
void* cmdproc(void* device);

}  // namespace ballast::ring_test
