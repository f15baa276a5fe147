// SPDX-License-Identifier: Apache-2.0
// Device: how the log reads, writes and flushes the device it lies on.
//
// The device is a backend (lib/backend/backend.h): in the product a file or a block device. A
// write or a flush that fails makes the device fail for good. A flush may have lost what earlier
// writes left in a cache, and no later flush would say so. So there is one flush at a time, and
// each that begins after a failure fails. Reads go on.
//
// An operation that found no memory (no_resource) is tried again a few times. Driving thread only.
// The backend outlives the device, and its owner closes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "lib/backend/backend.h"
#include "lib/base/line_limit.h"
#include "lib/base/result.h"
#include "lib/co/mutex.h"
#include "lib/co/task.h"
#include "lib/io/page_memory.h"
#include "lib/io/sg.h"

namespace ballast::write_log {

using Memory = io::PageMemory;
// Zeros to write. Null if there is no memory. `bytes` is a multiple of a page.
Memory make_zeros(std::size_t bytes);

class Device {
 public:
  explicit Device(backend::Backend& backend)
      : backend_{backend},
        executor_{backend.executor()},
        flushing_{executor_, "the flush of the log's device"} {}

  co::Executor& executor() { return executor_; }
  std::string name() const { return backend_.description(); }
  Bytes size() const { return backend_.geometry().size; }
  std::uint64_t logical_block() const { return backend_.geometry().logical_block.value(); }
  std::uint64_t physical_block() const { return backend_.geometry().physical_block.value(); }

  co::Task<IoStatus> read(std::uint64_t offset, std::span<std::byte> to);
  co::Task<IoStatus> write(std::uint64_t offset, io::SgView from);
  co::Task<IoStatus> write(std::uint64_t offset, std::span<std::byte> from);
  // What was written before it began is durable when it ends with ok.
  co::Task<IoStatus> flush();

  // The first failure of a write or a flush; ok if there was none.
  IoStatus failure() const { return failure_; }
  // Called once, when failure() comes.
  void on_failure(void (*call)(void* argument), void* argument) {
    call_ = call;
    argument_ = argument;
  }

 private:
  friend struct Anatomy;
  enum class Verb : std::uint8_t { read, write, flush };
  co::Task<IoStatus> run(Verb verb, std::uint64_t offset, io::SgView view);
  IoStatus note(const char* what, std::uint64_t offset, IoStatus status);

  backend::Backend& backend_;
  co::Executor& executor_;
  co::Mutex flushing_;
  IoStatus failure_ = IoStatus::ok;
  void (*call_)(void* argument) = nullptr;
  void* argument_ = nullptr;
  LineLimit read_lines_;
};

}  // namespace ballast::write_log
