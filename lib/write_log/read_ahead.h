// SPDX-License-Identifier: Apache-2.0
// ReadAhead: reads the segments of a log one behind the other, before they are asked for.
//
// The first two are read when they are asked for, since most logs that are opened have little in
// them. From then on the next is being read while one is looked at. Driving thread only.
// Memory: two segments, 8 MiB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/result.h"
#include "lib/co/event.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"
#include "lib/write_log/device.h"
#include "lib/write_log/format.h"

namespace ballast::write_log {

class ReadAhead {
 public:
  static constexpr std::size_t depth = 2;

  // From `begin` on, round the ring.
  ReadAhead(Device& device, const Sizes& sizes, std::uint64_t begin);

  co::Executor& executor() { return device_.executor(); }
  // Whether there was memory for it.
  bool works() const;

  // Waits for the next: what is from `begin` to the end of its segment, then whole segments. After
  // ok, offset() and bytes() are where it is and what was read, until the next call.
  co::Task<IoStatus> next();
  std::uint64_t offset() const { return current().offset; }
  std::span<const std::byte> bytes() const { return current().bytes; }

  // Waits for the reads that are under way. next() is not called any more. Whatever happened, this
  // must be called.
  co::Task<void> stop();
  // The memory of a segment, to use after stop().
  std::span<std::byte> memory() { return {slots_[0].memory.get(), segment_bytes}; }

 private:
  struct Slot {
    Memory memory{};
    std::uint64_t offset = 0;
    std::span<std::byte> bytes{};
    std::optional<IoStatus> status{};  // nothing: it is being read
  };
  const Slot& current() const { return slots_[(taken_ - 1) % depth]; }
  void begin_read();
  co::Task<void> read(Slot* slot);

  Device& device_;
  const Sizes sizes_;
  std::uint64_t offset_;     // of what is read next
  std::uint64_t begun_ = 0;  // reads
  std::uint64_t taken_ = 0;  // calls of next()
  std::array<Slot, depth> slots_;
  co::Event ended_;  // set for a moment when a read ends
  co::TaskGroup reads_;
};

}  // namespace ballast::write_log
