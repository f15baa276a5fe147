// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/shrink.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <vector>

namespace ballast::sim {
namespace {

// A complaint without its numbers.
std::string kind_of(const std::string& complaint) {
  return complaint.substr(0, complaint.find_first_of("0123456789"));
}

class Shrinker {
 public:
  Shrinker(const RunOptions& options, const RunResult& result)
      : options_{options}, kind_{kind_of(result.complaints.front())} {
    best_.commands = std::min(best_.commands, result.commands);
    best_.faults.emplace();
    for (std::uint32_t fault = 1; fault <= result.faults; ++fault) {
      best_.faults->insert(fault);
    }
  }

  RunBounds shrink() {
    for (std::size_t before = 0; before != size();) {
      before = size();
      fewer_commands();
      fewer_initiators();
      fewer_faults();
    }
    return best_;
  }

 private:
  std::size_t size() const { return best_.commands + best_.initiators + best_.faults->size(); }
  // Keeps the bounds if the run still fails within them.
  bool keep(const RunBounds& bounds) {
    RunOptions options = options_;
    options.bounds = bounds;
    options.trace = false;
    const RunResult result = run(options);
    const bool fails = std::ranges::any_of(
        result.complaints, [this](const std::string& c) { return kind_of(c) == kind_; });
    if (fails) {
      best_ = bounds;
    }
    return fails;
  }
  void fewer_commands() {
    for (std::size_t step = best_.commands / 2; step > 0; step /= 2) {
      RunBounds bounds = best_;
      bounds.commands -= std::min(bounds.commands - 1, step);
      (void)keep(bounds);
    }
  }
  void fewer_initiators() {
    for (std::size_t count = 1; count < best_.initiators; ++count) {
      RunBounds bounds = best_;
      bounds.initiators = count;
      if (keep(bounds)) {
        return;
      }
    }
  }
  // Leaves out half of them, then quarters, at last each alone.
  void fewer_faults() {
    for (std::size_t length = best_.faults->size(); length > 0; length /= 2) {
      const std::vector<std::uint32_t> all{best_.faults->begin(), best_.faults->end()};
      for (std::size_t begin = 0; begin < all.size(); begin += length) {
        RunBounds bounds = best_;
        for (std::size_t i = begin; i < std::min(begin + length, all.size()); ++i) {
          bounds.faults->erase(all[i]);
        }
        (void)keep(bounds);
      }
    }
  }

  const RunOptions& options_;
  const std::string kind_;
  RunBounds best_;
};

}  // namespace

RunBounds shrink(const RunOptions& options, const RunResult& result) {
  return Shrinker{options, result}.shrink();
}

std::string to_string(const RunBounds& bounds) {
  return fmt::format("{}:{}:{}", bounds.commands, bounds.initiators,
                     fmt::join(bounds.faults.value_or(std::set<std::uint32_t>{}), ","));
}

RunBounds bounds_from(const std::string& text) {
  RunBounds bounds;
  std::istringstream in{text};
  char colon = 0;
  in >> bounds.commands >> colon >> bounds.initiators >> colon;
  if (!in) {
    return {};
  }
  bounds.faults.emplace();
  for (std::uint32_t fault = 0; in >> fault; in >> colon) {
    bounds.faults->insert(fault);
  }
  return bounds;
}

}  // namespace ballast::sim
