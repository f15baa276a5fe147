// SPDX-License-Identifier: Apache-2.0
// Verdict: collects the complaints of a run and, if asked for, a trace. It judges nothing itself:
// the code that finds something wrong reports it here, and the run goes on. Of each kind of
// complaint it keeps the first few.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/units.h"

namespace ballast::sim {

class Verdict {
 public:
  explicit Verdict(bool trace = false) : trace_{trace} {}

  template <class... Args>
  void complain(fmt::format_string<Args...> format, Args&&... args) {
    const fmt::string_view kind = format;
    add(std::string{kind.data(), kind.size()}, fmt::format(format, std::forward<Args>(args)...));
  }
  void add(const std::string& kind, std::string complaint) {
    if (trace_) {
      std::fprintf(stderr, "  !! %s\n", complaint.c_str());
    }
    constexpr std::size_t most_of_a_kind = 3;
    if (kinds_[kind]++ < most_of_a_kind) {
      complaints_.push_back(std::move(complaint));
    }
  }
  const std::vector<std::string>& complaints() const { return complaints_; }
  bool right() const { return complaints_.empty(); }

  bool traces() const { return trace_; }
  template <class... Args>
  void trace(TimePoint at, fmt::format_string<Args...> format, Args&&... args) const {
    if (trace_) {
      const double seconds = std::chrono::duration<double>(at.since_start).count();
      std::fprintf(stderr, "%10.4f %s\n", seconds,
                   fmt::format(format, std::forward<Args>(args)...).c_str());
    }
  }

 private:
  bool trace_;
  std::vector<std::string> complaints_;
  std::map<std::string, std::size_t> kinds_;
};

}  // namespace ballast::sim
