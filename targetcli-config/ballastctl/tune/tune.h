// SPDX-License-Identifier: Apache-2.0
// ballastctl tune: sets this initiator so that it outlives a freeze, and undoes that again.
//
// It writes to four kinds of place. sysfs holds the settings of disks that are there now. A udev
// rule is for disks that come later. Node records are for later logins, and, if the operator wants
// that, a block in iscsid.conf for targets that are discovered later. A device section in a file of
// multipathd is for disks that are paths of dm-multipath, now or later.
// wanted.h says which values are right, and record.h how undoing works. Blocks; single-threaded.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/machine/wanted.h"
#include "targetcli-config/ballastctl/tune/place.h"
#include "targetcli-config/ballastctl/tune/record.h"

namespace ballast::ctl::tune {

// What the operator asks for.
struct Request {
  Goal goal;
  // Also targets that are discovered later, of Ballast or not: iscsid.conf.
  bool all_targets = false;
};

inline constexpr const char* rule_path = "/etc/udev/rules.d/60-ballast.rules";

struct Plan {
  std::vector<Change> changes;     // to be made, in this order; `before`: what undo would put back
  Record record;                   // the old record with these changes
  std::vector<std::string> notes;  // sentences about what could not be looked at
};

// Looks at all places and changes nothing. `old`: the record, empty if there is none.
Result<Plan> make_plan(const Files& files, const std::vector<Disk>& disks, const Record& old,
                       const Request& request);

// Returns whole sentences: one for each session that has settings which count only from the next
// login.
std::vector<std::string> waiting_for_login(const std::vector<Disk>& disks, const Goal& goal);

// One place, and what became of it.
struct Step {
  Kind kind = Kind::file;
  std::string place;  // "sda timeout", as Places::describe() says it
  // The value before and after; nullopt: no such file or block.
  std::optional<std::string> before;
  std::optional<std::string> after;
  // Somebody has changed it since tune, so undo leaves it as it is.
  bool left = false;
};

// What was done, or would be done in a dry run.
struct Outcome {
  bool dry_run = false;
  std::vector<Step> steps{};
  std::vector<std::string> notes{};   // sentences
  std::string ending{};               // one sentence; empty: there is nothing to be said
  std::vector<std::string> errors{};  // none if all of it worked
};
Result<Outcome> tune(const Files& files, const Request& request, bool dry_run);
Result<Outcome> undo(const Files& files, bool dry_run);

// For the operator, without the errors.
std::string text_of(const Outcome& outcome);
// As ballast-json(5) describes it.
nlohmann::ordered_json as_json(const Outcome& outcome);

}  // namespace ballast::ctl::tune
