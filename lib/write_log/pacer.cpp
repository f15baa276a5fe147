// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/pacer.h"

namespace ballast::write_log {

void Pacer::begins(TimePoint now) {
  began_ = now;
  if (!working_) {
    answered_ = now;
  }
  working_ = true;
}

void Pacer::answered(TimePoint now) {
  const Nanoseconds gap = now - answered_;
  const Nanoseconds counted = std::min(gap, longest_gap);
  longest_ = std::max(longest_, counted);
  began_ = began_ + (gap - counted);  // standing still says nothing of its speed
  answered_ = now;
}

void Pacer::trimmed(std::uint64_t bytes, TimePoint now) {
  if (time_ > memory) {
    bytes_ /= 2;
    time_ /= 2;
    longest_ /= 2;
  }
  bytes_ += bytes;
  time_ += std::max(now - began_, Nanoseconds{1});
  working_ = false;
}

std::optional<std::uint64_t> Pacer::speed_of(std::uint64_t bytes, Nanoseconds time) {
  if (bytes == 0 || time <= Nanoseconds{}) {
    return std::nullopt;
  }
  constexpr double most = 1e18;  // out of a core file there may be anything
  const double seconds = std::chrono::duration<double>(time).count();
  return static_cast<std::uint64_t>(std::min(static_cast<double>(bytes) / seconds, most));
}

TimePoint Pacer::next(TimePoint now) const {
  const std::uint64_t full = ring_.used() * 1000 / ring_.bytes();
  const bool empties = now < empty_until_;
  if ((full <= from && !empties) || bytes_ == 0 || now >= still_at()) {
    return now;
  }
  if (full >= upto) {
    return still_at();
  }
  const double store = static_cast<double>(time_.count()) / static_cast<double>(bytes_);
  const auto paced = [&](double factor) {
    const double ns = std::min(static_cast<double>(last_bytes_) * store * factor, 1e12);
    return last_at_ + Nanoseconds{static_cast<std::int64_t>(ns)};
  };
  const double by_fullness =
      full > from ? static_cast<double>(full - from) / static_cast<double>(upto - full) : 0;
  TimePoint at = paced(by_fullness);
  if (empties) {
    at = std::min(paced(std::max(emptying, by_fullness)), std::max(at, empty_until_));
  }
  return std::min(at, still_at());
}

}  // namespace ballast::write_log
