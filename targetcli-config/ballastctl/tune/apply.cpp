// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "lib/base/values.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/tune/tune.h"

namespace ballast::ctl::tune {
namespace {

// The values that the kernel gives to a new disk (SD_TIMEOUT and SD_MAX_RETRIES,
// drivers/scsi/sd.h).
constexpr const char* kernel_timeout = "30";
constexpr const char* kernel_max_retries = "5";

constexpr const char* a_dry_run = "a dry run: nothing was changed";

// A newline at the beginning of a block belongs to the text before it, so it makes no difference.
bool same(const Change& change, const std::optional<std::string>& one,
          const std::optional<std::string>& other) {
  const auto bare = [&](const std::string& text) {
    return change.kind == Kind::block && text.starts_with('\n') ? text.substr(1) : text;
  };
  return one.has_value() == other.has_value() && (!one || bare(*one) == bare(*other));
}

// Undoes changes one by one. A place that another program has changed since is left as it is, and
// the text says so. `left` has the changes that could not be undone yet.
struct Undoing {
  const Places& places;
  Outcome outcome;
  std::vector<Change> left;

  void one(const Change& change) {
    const Result<Current> now = places.current(change);
    if (!now) {
      outcome.errors.push_back(now.error().message);
      left.push_back(change);
      return;
    }
    const Current& current = now.value();
    if (!current.there || same(change, current.text, change.before)) {
      return;
    }
    const bool changed_since = !same(change, current.text, change.after);
    if (!changed_since && !outcome.dry_run) {
      if (const Result<void> done = places.put(change, change.before); !done) {
        outcome.errors.push_back(done.error().message);
        left.push_back(change);
        return;
      }
    }
    outcome.steps.push_back(
        {change.kind, places.describe(change), current.text, change.before, changed_since});
  }

  // A disk that came after tune has its values from the udev rule, and no Change has them.
  void newcomer(const Record& record, const Disk& disk, const char* name,
                const std::string& from_rule, const char* usual) {
    Change change;
    change.kind = Kind::disk;
    change.name = name;
    change.target = disk.target;
    change.portal = disk.portal;
    change.interface = disk.interface;
    change.lun = disk.lun;
    change.before = usual;
    change.after = from_rule;
    const Result<Current> now = places.current(change);
    if (record.find(change) == nullptr && now && now.value().text == from_rule) {
      one(change);
    }
  }
};

// Takes the lock that lets only one tune run at a time. If two looked first and then both wrote,
// the record would be right for neither. A dry run needs no lock.
Result<UniqueFd> alone(const Files& files, bool dry_run) {
  if (dry_run) {
    return UniqueFd{};
  }
  Result<UniqueFd> lock = files.lock("/etc");
  if (!lock && lock.error().errno_value == EWOULDBLOCK) {
    return Error{
        EWOULDBLOCK,
        "another ballastctl tune is running: nothing is changed; try again when it has ended"};
  }
  return lock;
}

}  // namespace

Result<Outcome> tune(const Files& files, const Request& request, bool dry_run) {
  const Result<UniqueFd> lock = alone(files, dry_run);
  if (!lock) {
    return lock.error();
  }
  const Result<std::optional<Record>> old = load_record(files);
  if (!old) {
    return old.error();
  }
  const std::vector<Disk> found = disks(files, {}).value();
  const Result<Plan> plan = make_plan(files, found, old.value().value_or(Record{}), request);
  if (!plan) {
    return plan.error();
  }
  const Places places{files, found};
  Outcome outcome{.dry_run = dry_run};
  const bool new_goal = old.value() && old.value()->goal != plan.value().record.goal;
  if (!dry_run && (new_goal || !plan.value().changes.empty())) {
    if (const Result<void> saved = save_record(files, plan.value().record); !saved) {
      return saved.error();
    }
  }
  for (const Change& change : plan.value().changes) {
    const Result<Current> now = places.current(change);
    if (!dry_run) {
      if (const Result<void> done = places.put(change, change.after); !done) {
        outcome.errors.push_back(done.error().message);
        continue;
      }
    }
    outcome.steps.push_back({change.kind, places.describe(change),
                             now ? now.value().text : std::nullopt, change.after});
  }
  outcome.notes = plan.value().notes;
  std::ranges::copy(waiting_for_login(found, request.goal), std::back_inserter(outcome.notes));
  if (plan.value().changes.empty()) {
    outcome.ending = fmt::format("nothing to change: a freeze of {} is outlived",
                                 config::format_duration(request.goal.survive));
  } else {
    outcome.ending =
        dry_run ? a_dry_run
                : fmt::format("the old settings are in {}; ballastctl tune --undo puts them back",
                              record_path);
  }
  return outcome;
}

Result<Outcome> undo(const Files& files, bool dry_run) {
  const Result<UniqueFd> lock = alone(files, dry_run);
  if (!lock) {
    return lock.error();
  }
  const Result<std::optional<Record>> loaded = load_record(files);
  if (!loaded) {
    return loaded.error();
  }
  if (!loaded.value()) {
    return Outcome{.dry_run = dry_run,
                   .ending = fmt::format("nothing to undo: there is no {}", record_path)};
  }
  const Record& record = *loaded.value();
  const std::vector<Disk> found = disks(files, {}).value();
  const Places places{files, found};
  Undoing undoing{places, {.dry_run = dry_run}, {}};
  std::for_each(record.changes.rbegin(), record.changes.rend(),
                [&](const Change& change) { undoing.one(change); });
  for (const Disk& disk : found) {
    undoing.newcomer(record, disk, "timeout", record.rule_timeout, kernel_timeout);
    undoing.newcomer(record, disk, "max_retries", record.rule_max_retries, kernel_max_retries);
  }
  if (dry_run) {
    undoing.outcome.ending = a_dry_run;
    return undoing.outcome;
  }
  Record rest = record;
  std::reverse(undoing.left.begin(), undoing.left.end());
  rest.changes = undoing.left;
  const Result<void> kept = rest.changes.empty() ? remove_record(files) : save_record(files, rest);
  if (!kept) {
    undoing.outcome.errors.push_back(kept.error().message);
  }
  return undoing.outcome;
}

}  // namespace ballast::ctl::tune
