// SPDX-License-Identifier: Apache-2.0
#include "lib/base/line_limit.h"

#include <fmt/format.h>

#include <utility>

namespace ballast {

std::optional<std::uint64_t> LineLimit::next(TimePoint now) {
  if (in_window_ == 0 || now - window_began_ >= window_) {
    window_began_ = now;
    in_window_ = 0;
  }
  if (in_window_ == lines_) {
    ++left_out_;
    return std::nullopt;
  }
  ++in_window_;
  return std::exchange(left_out_, 0);
}

std::optional<std::string_view> LineLimit::next_in_words(TimePoint now) {
  const std::optional<std::uint64_t> left_out = next(now);
  if (!left_out.has_value() || *left_out == 0) {
    return left_out.has_value() ? std::optional{std::string_view{}} : std::nullopt;
  }
  const auto written = fmt::format_to_n(words_.data(), words_.size(),
                                        " ({} lines like it were left out)", *left_out);
  return std::string_view{words_.data(), written.out};
}

}  // namespace ballast
