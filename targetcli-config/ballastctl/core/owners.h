// SPDX-License-Identifier: Apache-2.0
// Owners: which command a task works for, and which one holds a range of blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "targetcli-config/ballastctl/core/process.h"

namespace ballast::ctl::core {

struct Owner {
  std::uint64_t command;  // its number
  std::string operation;
};

class Owners {
 public:
  explicit Owners(const DeadLun& lun);

  // By the addresses of a task, of a hold, and of the list of those who adopt a command's result.
  // Null: no command.
  const Owner* of_task(std::uint64_t task) const { return find(by_task_, task); }
  const Owner* of_hold(std::uint64_t hold) const { return find(by_hold_, hold); }
  const Owner* of_adopters(std::uint64_t list) const { return find(by_adopters_, list); }
  const std::vector<Object>& slots() const { return slots_; }
  const Owner& of_slot(std::size_t index) const { return owners_[index]; }

 private:
  using Map = std::unordered_map<std::uint64_t, std::size_t>;
  const Owner* find(const Map& map, std::uint64_t address) const {
    const auto found = map.find(address);
    return found == map.end() ? nullptr : &owners_[found->second];
  }

  std::vector<Object> slots_;
  std::vector<Owner> owners_;  // of the slots
  Map by_task_;
  Map by_hold_;
  Map by_adopters_;
};

}  // namespace ballast::ctl::core
