// SPDX-License-Identifier: Apache-2.0
// Turns members of the daemon's JSON (ballast-json(5)) into cells of a table. Pure. A member
// that is not as documented throws nlohmann's exception, which main() turns into a message.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace ballast::ctl {

// Each returns "" for null.
std::string number_cell(const nlohmann::json& number);
std::string bytes_cell(const nlohmann::json& bytes);
std::string duration_cell(const nlohmann::json& nanoseconds);

// "ok", "stalled 4.2 s".
std::string state_cell(const nlohmann::json& lun);
// "reconnecting 4.2 s"; "" if the LUN's store is connected, or on this machine.
std::string connection_cell(const nlohmann::json& lun);

// Returns the elements of the array `member` of all LUNs, each with the name of its LUN. Those with
// the highest `age` come first.
using OfLun = std::pair<std::string, nlohmann::json>;
std::vector<OfLun> oldest_first(const std::vector<nlohmann::json>& luns, const char* member,
                                const char* age);

// The stages that have no column of their own, because few commands are ever in them, and the time
// in each: "limit 2.0 s, log 1.3 s". `time_in_ns` is the report's. Empty: the command was in none.
std::string rare_stages(const nlohmann::json& time_in_ns);

}  // namespace ballast::ctl
