// SPDX-License-Identifier: Apache-2.0
// Events as records of the systemd journal. targetcli-config/systemd/ballast.catalog explains each
// kind; `journalctl --catalog` shows it.
//
//   MESSAGE              as `ballastctl watch` prints it
//   MESSAGE_ID           of the kind of event; never changes
//   PRIORITY             as the table has it
//   BALLAST_EVENT        "stalled", "recovered", ...
//   BALLAST_LUN          of an event of a LUN; BALLAST_SUBJECT of another one: "session1"
//   BALLAST_COMMAND, BALLAST_OPERATION, BALLAST_LBA, BALLAST_BLOCKS, BALLAST_AGE_MS, BALLAST_STAGE
//                        of the command that the event is about, if it is about one
//   BALLAST_STALLED_MS, BALLAST_HELD, BALLAST_ANSWERED_EARLY, BALLAST_ADOPTED, BALLAST_STORE_ERRORS
//                        of a recovery
//
// fields_of() is pure.
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/watch/watch.h"

namespace ballast::ctl::journal {

struct Kind {
  const char* event;
  const char* message_id;
  int priority;  // as in syslog
};
const std::vector<Kind>& kinds();

// Each "NAME=value". A value may have any bytes.
std::vector<std::string> fields_of(const watch_events::Event& event);

// Where there is no journal it does nothing.
Result<void> write(const watch_events::Event& event);

}  // namespace ballast::ctl::journal
