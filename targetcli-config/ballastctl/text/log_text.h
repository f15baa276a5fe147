// SPDX-License-Identifier: Apache-2.0
// A write log, for people: of a report's JSON (ballast-json(5)), of a live or a dead LUN. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace ballast::ctl {

// What of it the store does not have, and how fast the store takes it. `log`: the LUN's member.
std::string waiting_text(const nlohmann::json& log);
// Some lines.
std::string status_text(const nlohmann::json& lun);

}  // namespace ballast::ctl
