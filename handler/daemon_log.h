// SPDX-License-Identifier: Apache-2.0
// The log sink of the plugin: it writes every line to tcmu-runner's own log (journal and
// /var/log/tcmu-runner.log). The operator sets the level of that log in /etc/tcmu/tcmu.conf.
#pragma once

#include <string_view>

#include "lib/base/log.h"

namespace ballast::handler {

// A LogSink. The daemon cuts a line off after 254 bytes, so a longer line is logged in pieces,
// broken at blanks. The pieces after the first begin with "...". The daemon writes its file inside
// this call, so the call can block on /var/log. Therefore only the log writer's thread should call
// it (lib/base/log_writer.h), although any thread may.
void log_to_daemon(LogLevel level, std::string_view line);

}  // namespace ballast::handler
