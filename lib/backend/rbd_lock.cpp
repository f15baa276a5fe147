// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_lock.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/backend/rbd_metadata.h"
#include "lib/backend/rbd_ownership.h"
#include "lib/base/log.h"

namespace ballast::backend {
namespace {

std::string first_word_of(const char* path) {
  std::ifstream file{path};
  std::string word;
  file >> word;
  return word;
}

// The 22nd field of /proc/<pid>/stat, proc(5); 0 if there is no such process. The second field, the
// name, may contain anything, so fields are counted from its last ')'.
std::uint64_t start_time_of(std::uint64_t pid) {
  std::ifstream file{fmt::format("/proc/{}/stat", pid)};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  const std::size_t name_ends = text.rfind(')');
  if (name_ends == std::string::npos) {
    return 0;
  }
  std::istringstream fields{text.substr(name_ends + 1)};
  std::string field;
  for (int i = 3; i <= 22; ++i) {
    fields >> field;
    // A zombie has closed its connections, and does not come back.
    if (i == 3 && (field == "Z" || field == "X")) {
      return 0;
    }
  }
  return std::strtoull(field.c_str(), nullptr, 10);
}

OwnerRecord ourselves() {
  OwnerRecord self;
  self.machine = first_word_of("/etc/machine-id");
  self.boot = first_word_of("/proc/sys/kernel/random/boot_id");
  std::array<char, 64> link{};
  if (::readlink("/proc/self/ns/pid", link.data(), link.size() - 1) > 0) {
    self.pid_namespace = link.data();
  }
  self.pid = static_cast<std::uint64_t>(::getpid());
  self.start_time = start_time_of(self.pid);
  return self;
}

// Returns the address of the lock's owner; empty: nobody has it.
Result<std::string> lock_owner(RbdConnection& connection) {
  const RbdLibrary& library = connection.library();
  std::array<char*, 8> owners{};
  std::size_t count = owners.size();
  rbd_lock_mode_t mode{};
  const int listed = library.rbd_lock_get_owners(connection.image(), &mode, owners.data(), &count);
  if (listed == -ENOENT || (listed == 0 && count == 0)) {
    return std::string{};
  }
  if (listed < 0) {
    return Error{-listed, ""};
  }
  std::string first{owners.front()};
  library.rbd_lock_get_owners_cleanup(owners.data(), count);
  return first;
}

// Nothing: the image has no record, or it cannot be read.
std::optional<OwnerRecord> owner_record(RbdConnection& connection) {
  const Result<std::optional<std::string>> value = get_metadata(connection, OwnerRecord::key, 1023);
  return value && value.value().has_value() ? parse_owner_record(*value.value()) : std::nullopt;
}

int put_record(RbdConnection& connection, const OwnerRecord& record) {
  return set_metadata(connection, OwnerRecord::key, to_string(record));
}

class Taking {
 public:
  Taking(RbdConnection& connection, RbdOwnership::Manner manner, const TakeOrder& order)
      : connection_{connection},
        library_{connection.library()},
        order_{order},
        self_{ourselves()},
        ownership_{connection.name(), self_, manner} {
    self_.group = order_.group;
  }

  Result<std::string> run() {
    using Step = RbdOwnership::Step;
    for (;;) {
      const Step step = ownership_.step();
      if (order_.progress != nullptr) {
        order_.progress->store(to_string(step), std::memory_order_relaxed);
      }
      if (step == Step::refused) {
        return ownership_.error();
      }
      if (step == Step::owner) {
        return std::move(self_.address);
      }
      if (step == Step::fence && order_.unwanted && order_.unwanted()) {
        return Error{ECANCELED, fmt::format("{}: not taken over: nobody waits for it any more",
                                            connection_.name())};
      }
      take_step();
    }
  }

 private:
  void take_step();
  void list();
  void look();
  bool watches(const std::string& address) const;
  int write_record();
  void log_fence() const;

  RbdConnection& connection_;
  const RbdLibrary& library_;
  const TakeOrder& order_;
  OwnerRecord self_;
  RbdOwnership ownership_;
};

void Taking::log_fence() const {
  if (ownership_.robs()) {
    log(LogLevel::warning,
        "{}: Ballast fences its owner, {}, and takes the image over, as it was told",
        connection_.name(), ownership_.other());
  } else {
    log(LogLevel::warning,
        "{}: its last owner, {}, is gone without giving the lock back; Ballast fences it and takes "
        "the image over",
        connection_.name(), ownership_.other());
  }
}

void Taking::take_step() {
  switch (ownership_.step()) {
    case RbdOwnership::Step::list:
      list();
      return;
    case RbdOwnership::Step::look:
      look();
      return;
    case RbdOwnership::Step::fence: {
      log_fence();
      std::string address = ownership_.other();
      ownership_.did(
          library_.rados_blocklist_add(connection_.cluster(), address.data(), fence_seconds));
      return;
    }
    case RbdOwnership::Step::break_:
      ownership_.did(library_.rbd_lock_break(connection_.image(), RBD_LOCK_MODE_EXCLUSIVE,
                                             ownership_.other().c_str()));
      return;
    case RbdOwnership::Step::acquire:
      ownership_.did(library_.rbd_lock_acquire(connection_.image(), RBD_LOCK_MODE_EXCLUSIVE));
      return;
    case RbdOwnership::Step::record:
      ownership_.did(write_record());
      return;
    case RbdOwnership::Step::owner:
    case RbdOwnership::Step::refused:
      return;
  }
}

void Taking::list() {
  Result<std::string> found = lock_owner(connection_);
  if (found) {
    ownership_.owner_is(std::move(found).value());
  } else {
    ownership_.did(-found.error().errno_value);
  }
}

// If the watchers cannot be listed, the owner counts as alive.
bool Taking::watches(const std::string& address) const {
  std::vector<rbd_image_watcher_t> watchers(64);
  std::size_t count = watchers.size();
  if (library_.rbd_watchers_list(connection_.image(), watchers.data(), &count) < 0) {
    return true;
  }
  const bool found = std::any_of(watchers.data(), watchers.data() + count,
                                 [&](const auto& each) { return address == each.addr; });
  library_.rbd_watchers_list_cleanup(watchers.data(), count);
  return found;
}

void Taking::look() {
  OwnerFacts facts;
  facts.record = owner_record(connection_);
  facts.watches = !ownership_.other().empty() && watches(ownership_.other());
  if (facts.record.has_value()) {
    const std::uint64_t began = start_time_of(facts.record->pid);
    facts.runs = began != 0 && began == facts.record->start_time;
  }
  ownership_.found(facts);
}

int Taking::write_record() {
  Result<std::string> address = lock_owner(connection_);
  if (!address) {
    return -address.error().errno_value;
  }
  self_.address = std::move(address).value();
  return put_record(connection_, self_);
}

}  // namespace

Result<std::string> take_ownership(RbdConnection& connection, RbdOwnership::Manner manner,
                                   const TakeOrder& order) {
  return Taking{connection, manner, order}.run();
}

void end_ownership(RbdConnection& connection) {
  // If it fails, the next owner fences a connection that is gone.
  (void)remove_metadata(connection, OwnerRecord::key);
}

Result<ImageOwner> read_owner(RbdConnection& connection) {
  Result<std::string> address = lock_owner(connection);
  if (!address) {
    return Error{address.error().errno_value,
                 fmt::format("{}: the owner of its lock cannot be read: {}", connection.name(),
                             std::strerror(address.error().errno_value))};
  }
  return ImageOwner{std::move(address).value(), owner_record(connection)};
}

}  // namespace ballast::backend
