// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/store_opener.h"

#include <fmt/format.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "lib/base/assert.h"
#include "lib/base/errand.h"
#include "lib/base/log.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

using Found = Result<std::optional<StoreRecord>>;

Expected expect(const StoreOrder& order, const Found& found) {
  Expected expected;
  expected.record_file = StoreRecords{order.records}.file_of(order.config.file.path);
  if (!found) {
    expected.creation = Creation::unreadable;
  } else if (found.value().has_value()) {
    expected.record = found.value();
  } else if (order.at_start) {
    expected.creation = Creation::at_start;
  } else if (order.is_saved && order.is_saved(order.config.file.path)) {
    expected.creation = Creation::saved;
  }
  return expected;
}

// The folder of records may be on a file system that hangs, while the store is on one that does
// not. So another errand reads the record, and this one waits for it no longer than
// record_patience.
Found find_record(const StoreOrder& order) {
  const StoreRecords records{order.records};
  if (!records.remembers()) {
    return std::optional<StoreRecord>{};
  }
  std::optional<Found> found = ask_with_patience<Found>(
      "ballast/record", StoreOpener::record_patience,
      [records, path = order.config.file.path] { return records.find(path); });
  return found.has_value() ? std::move(*found)
                           : Error{ETIMEDOUT, fmt::format("{} does not answer",
                                                          records.file_of(order.config.file.path))};
}

bool is_known(const StoreOrder& order, const Expected& expected) {
  return expected.record.has_value() && expected.record->lun == order.lun &&
         expected.record->size == order.size;
}

void remember(const StoreOrder& order, const Expected& expected, const StoreIdentity& identity) {
  const StoreRecords records{order.records};
  if (!records.remembers()) {
    return;
  }
  StoreRecord record{.path = normal_path(order.config.file.path),
                     .lun = order.lun,
                     .size = order.size,
                     .identity = identity,
                     .since = timestamp()};
  if (expected.record.has_value() && !is_another(expected.record->identity, identity)) {
    record.since = expected.record->since;
    if (record == *expected.record) {
      return;
    }
  }
  if (const Result<void> kept = records.keep(record); !kept) {
    log(LogLevel::warning,
        "{}: {}; so Ballast has no record of this LUN's store, and cannot tell later whether a "
        "missing file held data",
        order.lun, kept.error().message);
  }
}

}  // namespace

struct StoreOpener::Shared {
  explicit Shared(StoreOrder wanted) : order{std::move(wanted)} {}

  const StoreOrder order;
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  State state = State::trying;
  Error error{EAGAIN, "Ballast has not tried to open it yet"};
  std::optional<OpenFile> file;
  bool unwanted = false;

  bool attempt(std::string& said);
  bool failed(const Error& why, bool known, std::string& said);
  bool pause();
};

// Makes one attempt. Returns whether another one is needed.
bool StoreOpener::Shared::attempt(std::string& said) {
  const Found found = find_record(order);
  const Expected expected = expect(order, found);
  Result<OpenFile> opened = open_file(order.config.file, order.size, order.logical_block, expected);
  if (!opened) {
    return failed(opened.error(), is_known(order, expected), said);
  }
  const StoreIdentity identity = opened.value().identity;
  {
    const std::lock_guard lock{mutex};
    if (unwanted) {
      return false;  // this thread closes it
    }
    file = std::move(opened).value();
    state = State::opened;
    changed.notify_all();
  }
  if (!found) {
    log(LogLevel::warning,
        "{}: {}; so Ballast cannot tell whether {} is still the same file or device", order.lun,
        found.error().message, order.config.file.path);
  } else {
    remember(order, expected, identity);
  }
  return false;
}

// Notes that an attempt failed. Returns whether another one is needed. `known`: the record is of
// this LUN.
bool StoreOpener::Shared::failed(const Error& why, bool known, std::string& said) {
  const std::lock_guard lock{mutex};
  if (unwanted) {
    return false;
  }
  error = why;
  // EINVAL: the LUN does not suit the store, and never will.
  const bool waits = order.at_start || (known && why.errno_value != EINVAL);
  state = waits ? State::waiting : State::refused;
  if (waits && said != why.message) {
    said = why.message;
    log(LogLevel::warning,
        "{}: becoming ready: {}; commands are answered BUSY until it is open, and Ballast tries "
        "again every {}",
        order.lun, why.message, config::format_duration(order.interval));
  }
  changed.notify_all();
  return waits;
}

// Waits between two attempts. Returns false if the store is not wanted any more.
bool StoreOpener::Shared::pause() {
  std::unique_lock lock{mutex};
  changed.wait_for(lock, order.interval, [this] { return unwanted; });
  return !unwanted;
}

StoreOpener::StoreOpener(StoreOrder order) : shared_{std::make_shared<Shared>(std::move(order))} {
  const bool sent = send_errand("ballast/open", [shared = shared_] {
    std::string said;
    while (shared->attempt(said) && shared->pause()) {
    }
  });
  if (!sent) {
    shared_->state = State::refused;
    shared_->error =
        Error{EAGAIN, "cannot start a thread that opens it; raise TasksMax of the service"};
  }
}

StoreOpener::~StoreOpener() {
  bool must_be_closed = false;
  {
    const std::lock_guard lock{shared_->mutex};
    shared_->unwanted = true;
    shared_->changed.notify_all();
    must_be_closed = shared_->file.has_value();
  }
  if (must_be_closed) {
    // Closing may hang, too. If there is no thread for it, it happens here.
    (void)send_errand("ballast/close", [shared = std::move(shared_)] { (void)shared; });
  }
}

StoreOpener::State StoreOpener::wait(Nanoseconds patience) {
  std::unique_lock lock{shared_->mutex};
  shared_->changed.wait_for(lock, patience, [this] { return shared_->state != State::trying; });
  return shared_->state;
}

StoreOpener::State StoreOpener::state() {
  const std::lock_guard lock{shared_->mutex};
  return shared_->state;
}

Error StoreOpener::error() {
  const std::lock_guard lock{shared_->mutex};
  return shared_->error;
}

OpenFile StoreOpener::take() {
  const std::lock_guard lock{shared_->mutex};
  BALLAST_ASSERT(shared_->state == State::opened && shared_->file.has_value());
  OpenFile file = std::move(*shared_->file);
  shared_->file.reset();
  return file;
}

Result<void> StoreOpener::check(const StoreOrder& order) {
  return check_file(order.config.file, expect(order, find_record(order)));
}

}  // namespace ballast::backend
