// SPDX-License-Identifier: Apache-2.0
// The live tasks of an executor: the name of each, the thing it waits for, where, and since when.
//
// TaskGroup::spawn adds an entry, which goes when the task ends. Coroutines awaited inside a task
// share its entry, so wait_site is that of the innermost one. Driving thread only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/units.h"
#include "lib/co/arena.h"
#include "lib/co/wait.h"

namespace ballast::co {

struct TaskInfo {
  const char* name = nullptr;       // a literal
  std::uint64_t id = 0;             // unique within the executor
  const char* waits_for = nullptr;  // null: running or ready
  Site spawn_site{};
  Site wait_site{};
  TimePoint spawned{};
  TimePoint since{};      // when this wait began
  void* frame = nullptr;  // of the innermost coroutine, while it waits
  TaskInfo* prev = nullptr;
  TaskInfo* next = nullptr;
};

class Registry {
 public:
  // `arena` outlives the registry.
  explicit Registry(Arena& arena) : arena_{arena} {}
  ~Registry();  // asserts that it is empty
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  TaskInfo* add(const char* name, TimePoint now, Site site);
  void remove(TaskInfo* info);

  std::size_t size() const { return size_; }
  std::size_t peak() const { return peak_; }
  // Oldest first; follow next.
  const TaskInfo* first() const { return head_; }

 private:
  friend struct Anatomy;
  Arena& arena_;
  TaskInfo* head_ = nullptr;
  TaskInfo* tail_ = nullptr;
  TaskInfo* free_ = nullptr;
  std::size_t size_ = 0;
  std::size_t peak_ = 0;
  std::uint64_t next_id_ = 1;
};

}  // namespace ballast::co
