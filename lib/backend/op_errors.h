// SPDX-License-Identifier: Apache-2.0
// How many operations of a backend ended with an error, by operation and status, and when the last
// of each did, for people. An
// operation that was asked to stop, or that the backend does not have, is no error. A plain value.
// Driving thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/backend/op_status.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/watch/snapshot.h"

namespace ballast::backend {

class OpErrors {
 public:
  void add(OpKind kind, IoStatus status, TimePoint now) {
    Ended& ended = ended_[static_cast<std::size_t>(kind)][static_cast<std::size_t>(status)];
    ++ended.count;
    ended.last = now;
  }
  // Those that have happened.
  std::vector<watch::StoreErrors> view() const;

 private:
  static constexpr std::size_t io_statuses = static_cast<std::size_t>(IoStatus::not_ready) + 1;
  struct Ended {
    std::uint64_t count = 0;
    TimePoint last{};
  };
  std::array<std::array<Ended, io_statuses>, op_kinds> ended_{};
};

}  // namespace ballast::backend
