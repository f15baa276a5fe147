// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/store_opener.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "lib/base/errand.h"
#include "lib/base/log.h"

namespace ballast::backend {
namespace {

using Found = Result<std::optional<StoreRecord>>;

Expected expect(const StoreOrder& order, const Found& found) {
  Expected expected;
  expected.has_log = order.has_log;
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

// What the record of the store says once the LUN has this size.
StoreRecord record_of(const StoreOrder& order, Bytes size, const Expected& expected,
                      const StoreIdentity& identity) {
  StoreRecord record{.path = normal_path(order.config.file.path),
                     .lun = order.lun,
                     .size = size,
                     .reach = size,
                     .identity = identity,
                     .since = timestamp()};
  if (expected.record.has_value() && !is_another(expected.record->identity, identity)) {
    record.since = expected.record->since;
    record.reach = std::max(expected.record->reach, size);
  }
  return record;
}

void remember(const StoreOrder& order, const Expected& expected, const StoreIdentity& identity,
              std::uint64_t turn) {
  const StoreRecords records{order.records};
  const StoreRecord record = record_of(order, order.size, expected, identity);
  if (!records.remembers() || record == expected.record) {
    return;
  }
  if (const Result<void> kept = records.keep(record, turn); !kept) {
    log(LogLevel::warning,
        "{}: {}; so Ballast has no record of this LUN's store, and cannot tell later whether a "
        "missing file held data",
        order.lun, kept.error().message);
  }
}

// The folder of records may hang, while the LUN and its store do not.
Result<void> keep_size(const StoreRecords& records, const StoreRecord& record) {
  const std::optional<Result<void>> kept = ask_with_patience<Result<void>>(
      "ballast/record", StoreOpener::record_patience,
      [records, record, turn = next_turn()] { return records.keep(record, turn); });
  return kept.has_value()
             ? *kept
             : Error{ETIMEDOUT, fmt::format("{} does not answer", records.file_of(record.path))};
}

// Makes one attempt.
Attempts<OpenFile>::Outcome attempt(const StoreOrder& order, const Attempts<OpenFile>::Unwanted&) {
  const Found found = find_record(order);
  const Expected expected = expect(order, found);
  Result<OpenFile> opened = open_file(order.config.file, order.size, order.logical_block, expected);
  if (!opened) {
    // EINVAL: the LUN does not suit the store, and never will.
    const bool waits =
        order.at_start || (is_known(order, expected) && opened.error().errno_value != EINVAL);
    return {.result = std::move(opened), .waits = waits};
  }
  // The LUN may have another size, and a record of it, before this is written.
  std::function<void()> afterwards = [&order, found, expected, identity = opened.value().identity,
                                      turn = next_turn()] {
    if (!found) {
      log(LogLevel::warning,
          "{}: {}; so Ballast cannot tell whether {} is still the same file or device", order.lun,
          found.error().message, order.config.file.path);
    } else {
      remember(order, expected, identity, turn);
    }
  };
  if (found && !order.records.empty()) {
    opened.value().keep_size = [records = StoreRecords{order.records},
                                record = record_of(order, order.size, expected,
                                                   opened.value().identity)](Bytes size) mutable {
      record.size = size;
      record.reach = std::max(record.reach, size);
      return keep_size(records, record);
    };
  }
  return {.result = std::move(opened), .afterwards = std::move(afterwards)};
}

}  // namespace

StoreOpener::StoreOpener(StoreOrder order)
    : attempts_{Attempts<OpenFile>::plan_for(std::move(order), "ballast/open", attempt)} {}

Result<void> StoreOpener::check(const StoreOrder& order) {
  return check_file(order.config.file, expect(order, find_record(order)));
}

}  // namespace ballast::backend
