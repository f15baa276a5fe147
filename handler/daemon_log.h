// SPDX-License-Identifier: Apache-2.0
// The log sink of the plugin: every line goes to tcmu-runner's own log (journal and
// /var/log/tcmu-runner.log), whose level the operator sets in /etc/tcmu/tcmu.conf.
#pragma once

#include <string_view>

#include "lib/base/log.h"

namespace ballast::handler {

// A LogSink. Any thread. The daemon cuts a line off after 254 bytes, so a longer one goes out in
// pieces, broken at blanks; the pieces after the first begin with "...". It writes its file inside
// this call, and so waits for /var/log: for the log writer's thread only (lib/base/log_writer.h).
void log_to_daemon(LogLevel level, std::string_view line);

}  // namespace ballast::handler
