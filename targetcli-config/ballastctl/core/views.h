// SPDX-License-Identifier: Apache-2.0
// What a core file can tell and a live plugin is not asked for. Each returns a document, which
// ballast-json(5) explains, and has a table for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "targetcli-config/ballastctl/core/process.h"
#include "targetcli-config/ballastctl/core/store.h"
#include "targetcli-config/ballastctl/text/table.h"

namespace ballast::ctl::core {

using Json = nlohmann::ordered_json;

// Who holds which blocks and which mutexes, and who waits for whom.
Json locks(const Process& process);
std::string show_locks(const std::vector<nlohmann::json>& luns, const View& view);

// The write logs: as the live plugin shows them, and the state of their blocks.
Json logs(const Process& process);
// Of one log, what the live plugin does not show.
Json more_of_log(const DeadLog& dead);
std::string show_logs(const std::vector<nlohmann::json>& luns, const View& view);

// The operations of the LUNs' io_urings.
Json operations(const Process& process);
std::string show_operations(const std::vector<nlohmann::json>& luns, const View& view);

}  // namespace ballast::ctl::core
