// SPDX-License-Identifier: Apache-2.0
// ballastctl tune: sets this initiator so that it outlives a freeze, and undoes it again.
//
// Three kinds of place, for three lengths of life: sysfs, for the disks that are there; a udev
// rule, for those that come; node records and a block in iscsid.conf, for logins that come.
// settings_wanted.h says which values, tune_record.h how undoing works.
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/machine/wanted.h"
#include "targetcli-config/ballastctl/tune/place.h"
#include "targetcli-config/ballastctl/tune/record.h"

namespace ballast::ctl::tune {

inline constexpr const char* rule_path = "/etc/udev/rules.d/60-ballast.rules";

struct Plan {
  std::vector<Change> changes;     // to be made, in this order; before is what undo would put back
  Record record;                   // the old one and those
  std::vector<std::string> notes;  // sentences: what could not be looked at
};

// Looks at everything; changes nothing. `old`: the record, empty if there is none.
Result<Plan> make_plan(const Files& files, const std::vector<Disk>& disks, const Record& old,
                       const Goal& goal);

// "timeout, ..." for each session whose settings wait for the next login; whole sentences.
std::vector<std::string> waiting_for_login(const std::vector<Disk>& disks, const Goal& goal);

// What is said, and whether all of it worked.
struct Outcome {
  std::string text;
  std::vector<std::string> errors;
};
Result<Outcome> tune(const Files& files, const Goal& goal, bool dry_run);
Result<Outcome> undo(const Files& files, bool dry_run);

}  // namespace ballast::ctl::tune
