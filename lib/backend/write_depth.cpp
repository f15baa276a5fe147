// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/write_depth.h"

#include <algorithm>
#include <utility>

namespace ballast::backend {

void WriteDepth::read_ended(Nanoseconds took, bool undisturbed) {
  if (undisturbed) {
    usual_ += (std::min(took, target_ * most_targets) - usual_) / reads_remembered;
  }
  read_ = true;
  slowest_ = std::max(slowest_, took);
}

void WriteDepth::look(TimePoint now, Nanoseconds oldest) {
  if (now < window_end_) {
    return;
  }
  const std::int64_t passed = (now - window_end_) / window;
  window_end_ = now + window;
  const bool reads = std::exchange(read_, false) || oldest > Nanoseconds{};
  const Nanoseconds slowest = std::max(std::exchange(slowest_, Nanoseconds{}), oldest);
  if (reads) {
    quiet_ = 0;
    end_window(slowest);
    return;
  }
  pass_quietly(passed + 1);
}

void WriteDepth::end_window(Nanoseconds slowest) {
  if (slowest > bound()) {
    depth_ = std::max<std::size_t>(depth_ / 2, 1);
    good_ = 0;
    return;
  }
  if (++good_ >= good_windows) {
    good_ = 0;
    depth_ = std::min(depth_ + 1, most_);
  }
}

void WriteDepth::pass_quietly(std::int64_t windows) {
  const std::int64_t before = quiet_;
  quiet_ =
      std::min<std::int64_t>(quiet_ + windows, quiet_windows + static_cast<std::int64_t>(most_));
  const std::int64_t grown = std::max<std::int64_t>(quiet_ - quiet_windows, 0) -
                             std::max<std::int64_t>(before - quiet_windows, 0);
  depth_ = std::min(depth_ + static_cast<std::size_t>(grown), most_);
}

}  // namespace ballast::backend
