// SPDX-License-Identifier: Apache-2.0
#include "handler/lun_directory.h"

#include <algorithm>
#include <utility>

namespace ballast::handler {

LunDirectory::Entry* LunDirectory::find(std::uint64_t number) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [number](const Entry& entry) { return entry.number == number; });
  return found == entries_.end() ? nullptr : &*found;
}

void LunDirectory::add(ControlledLun& lun) {
  std::string name = lun.name();
  const std::lock_guard lock{mutex_};
  entries_.push_back({&lun, std::move(name), ++last_number_, false});
}

void LunDirectory::remove(ControlledLun& lun) noexcept {
  std::unique_lock lock{mutex_};
  const auto is_it = [&lun](const Entry& entry) { return entry.lun == &lun; };
  left_.wait(lock, [&] {
    const auto found = std::find_if(entries_.begin(), entries_.end(), is_it);
    return found == entries_.end() || !found->visited;
  });
  std::erase_if(entries_, is_it);
  left_.notify_all();  // wakes threads that wait to visit this LUN
}

std::vector<std::string> LunDirectory::names() const {
  const std::lock_guard lock{mutex_};
  std::vector<std::string> names;
  for (const Entry& entry : entries_) {
    names.push_back(entry.name);
  }
  return names;
}

// Ends the visit, also when the visitor throws. The entry is still there, because remove() waits
// for this.
class LunDirectory::Visit {
 public:
  Visit(LunDirectory& directory, std::unique_lock<std::mutex>& lock, std::uint64_t number)
      : directory_{directory}, lock_{lock}, number_{number} {}
  ~Visit() {
    lock_.lock();
    directory_.find(number_)->visited = false;
    directory_.left_.notify_all();
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

 private:
  LunDirectory& directory_;
  std::unique_lock<std::mutex>& lock_;
  const std::uint64_t number_;
};

std::size_t LunDirectory::visit(const std::string* name,
                                const std::function<void(ControlledLun&)>& visitor) {
  std::unique_lock lock{mutex_};
  std::vector<std::uint64_t> wanted;
  for (const Entry& entry : entries_) {
    if (name == nullptr || entry.name == *name) {
      wanted.push_back(entry.number);
    }
  }
  std::size_t count = 0;
  for (const std::uint64_t number : wanted) {
    // Find the entry again each time: entries move when LUNs are added and removed.
    left_.wait(lock, [this, number] {
      const Entry* const entry = find(number);
      return entry == nullptr || !entry->visited;
    });
    Entry* const entry = find(number);
    if (entry == nullptr) {
      continue;
    }
    ControlledLun& lun = *entry->lun;
    entry->visited = true;
    lock.unlock();
    const Visit visit{*this, lock, number};
    visitor(lun);
    ++count;
  }
  return count;
}

}  // namespace ballast::handler
