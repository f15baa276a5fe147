// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/core/owners.h"

#include <map>

namespace ballast::ctl::core {
namespace {

// A slot is a local of the command's first coroutine, so it lies in that one's frame. Frames are
// not larger than this (lib/co/frame_pool.h).
constexpr std::uint64_t largest_frame = 4096;

// The address of the frame of a task's first coroutine; 0: it is not known.
std::uint64_t first_frame(const Object& task) {
  std::uint64_t address = task.number("waits_for") != 0 ? task.number("frame") : 0;
  std::optional<Object> coroutine = address != 0 ? task.target("frame") : std::nullopt;
  for (std::size_t i = 0; i < longest_chain && coroutine.has_value(); ++i) {
    address = coroutine->address();
    coroutine = coroutine->target("awaiter");
  }
  return address;
}

}  // namespace

Owners::Owners(const DeadLun& lun) {
  const std::optional<Object> task_set = lun.lun ? lun.lun->target("task_set") : std::nullopt;
  if (!task_set.has_value()) {
    return;
  }
  std::map<std::uint64_t, std::uint64_t> tasks;  // by the address of the first frame
  for (const Object& task : lun.executor.list("tasks")) {
    if (const std::uint64_t frame = first_frame(task); frame != 0) {
      tasks[frame] = task.address();
    }
  }
  for (const char* const slots : slot_lists) {
    for (Object& slot : task_set->list(slots)) {
      const std::optional<Object> record = slot.part("record");
      if (!record.has_value()) {
        continue;
      }
      const std::size_t index = owners_.size();
      owners_.push_back({record->number("number"), operation_of(*record)});
      by_hold_[slot.number("hold")] = index;
      by_adopters_[slot.address_of("adopters")] = index;
      const auto behind = tasks.upper_bound(slot.address());
      if (behind != tasks.begin()) {
        const auto& [frame, task] = *std::prev(behind);
        if (slot.address() - frame < largest_frame) {
          by_task_[task] = index;
        }
      }
      slots_.push_back(std::move(slot));
    }
  }
  by_hold_.erase(0);
}

}  // namespace ballast::ctl::core
