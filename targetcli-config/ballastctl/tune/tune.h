// SPDX-License-Identifier: Apache-2.0
// ballastctl tune: sets this initiator so that it outlives a freeze, and undoes that again.
//
// It writes to four kinds of place. sysfs holds the settings of disks that are there now. A udev
// rule is for disks that come later. Node records are for later logins, and, if the operator wants
// that, a block in iscsid.conf for targets that are discovered later. A device section in a file of
// multipathd is for disks that are paths of dm-multipath, now or later.
// wanted.h says which values are right, and record.h how undoing works. Blocks; single-threaded.
#pragma once

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

// The text for the operator, and the errors; none if all of it worked.
struct Outcome {
  std::string text;
  std::vector<std::string> errors;
};
Result<Outcome> tune(const Files& files, const Request& request, bool dry_run);
Result<Outcome> undo(const Files& files, bool dry_run);

}  // namespace ballast::ctl::tune
