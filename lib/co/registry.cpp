// SPDX-License-Identifier: Apache-2.0
#include "lib/co/registry.h"

#include <new>

#include "lib/base/assert.h"

namespace ballast::co {
namespace {
constexpr std::size_t entries_per_slab = 64;
}

Registry::~Registry() {
  BALLAST_ASSERT(size_ == 0);
}

TaskInfo* Registry::add(const char* name, TimePoint now, Site site) {
  if (free_ == nullptr) {
    const std::span<std::byte> slab =
        arena_.take(entries_per_slab * sizeof(TaskInfo), sizeof(TaskInfo));
    for (std::size_t i = slab.size() / sizeof(TaskInfo); i-- > 0;) {
      auto* const info = ::new (static_cast<void*>(slab.data() + i * sizeof(TaskInfo))) TaskInfo{};
      info->next = free_;
      free_ = info;
    }
  }
  TaskInfo* const info = free_;
  free_ = info->next;
  *info = TaskInfo{};
  info->name = name;
  info->id = next_id_++;
  info->spawn_site = site;
  info->spawned = now;
  info->since = now;
  info->prev = tail_;
  (tail_ != nullptr ? tail_->next : head_) = info;
  tail_ = info;
  if (++size_ > peak_) {
    peak_ = size_;
  }
  return info;
}

void Registry::remove(TaskInfo* info) {
  BALLAST_ASSERT(size_ > 0);
  (info->prev != nullptr ? info->prev->next : head_) = info->next;
  (info->next != nullptr ? info->next->prev : tail_) = info->prev;
  info->next = free_;
  free_ = info;
  --size_;
}

}  // namespace ballast::co
