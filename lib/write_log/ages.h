// SPDX-License-Identifier: Apache-2.0
// Ages: about when each block of the log was written, in bounded memory.
//
// It keeps the times of some blocks, no two of them closer than the spacing. When there are too
// many, it drops every second one, and the spacing doubles. So a time is too early by no more than
// the spacing, a hundredth of the time between the oldest block and the newest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/base/units.h"

namespace ballast::write_log {

class Ages {
 public:
  static constexpr std::size_t most = 256;
  static constexpr Nanoseconds first_spacing = std::chrono::milliseconds{100};
  struct Mark {
    std::uint64_t sequence;
    TimePoint at;
  };

  Ages() { marks_.reserve(most); }

  // The block was written now. Numbers and times rise.
  void wrote(std::uint64_t sequence, TimePoint now);
  // When the block was written, or a little earlier. Nothing: no block was written since.
  std::optional<TimePoint> of(std::uint64_t sequence) const { return of(sequence, marks_); }
  static std::optional<TimePoint> of(std::uint64_t sequence, std::span<const Mark> marks);
  // Nobody asks for blocks before this one any more.
  void drop_before(std::uint64_t sequence);
  std::size_t kept() const { return marks_.size(); }

 private:
  friend struct Anatomy;
  std::vector<Mark> marks_;
  Nanoseconds spacing_ = first_spacing;
};

}  // namespace ballast::write_log
