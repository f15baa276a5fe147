// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/ages.h"

#include <cstddef>

namespace ballast::write_log {

void Ages::wrote(std::uint64_t sequence, TimePoint now) {
  if (!marks_.empty() && now - marks_.back().at < spacing_) {
    return;
  }
  if (marks_.size() == most) {
    for (std::size_t i = 0; i < most / 2; ++i) {
      marks_[i] = marks_[2 * i];
    }
    marks_.resize(most / 2);
    spacing_ *= 2;
  }
  marks_.push_back({sequence, now});
}

std::optional<TimePoint> Ages::of(std::uint64_t sequence, std::span<const Mark> marks) {
  std::optional<TimePoint> at;
  for (const Mark& mark : marks) {
    if (at.has_value() && mark.sequence > sequence) {
      break;
    }
    at = mark.at;
  }
  return at;
}

void Ages::drop_before(std::uint64_t sequence) {
  std::size_t gone = 0;
  while (gone + 1 < marks_.size() && marks_[gone + 1].sequence <= sequence) {
    ++gone;
  }
  marks_.erase(marks_.begin(), marks_.begin() + static_cast<std::ptrdiff_t>(gone));
  if (marks_.size() <= 1) {
    spacing_ = first_spacing;
  }
}

}  // namespace ballast::write_log
