// SPDX-License-Identifier: Apache-2.0
// What ballastctl log learns of the write log of an open LUN, from the daemon, and what it asks of
// it. ballast-json(5) describes the JSON.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lib/base/result.h"

namespace ballast::ctl {

// A LUN's name, and no path of a file.
bool may_be_lun(const std::string& argument);

struct OnlineLog {
  std::string document;  // as the daemon wrote it
  nlohmann::json lun;    // its only LUN
  const nlohmann::json& log() const { return lun.at("log"); }
  // The LUN has one, and works without it.
  bool is_let_go() const;
};
// The log of an open LUN; null if it has none. The error is one sentence, ENODEV: no such LUN is
// open; ESRCH: there is no daemon.
Result<OnlineLog> log_of_lun(const std::string& lun);
// Of the LUN that has the log at this path; nothing if none has, or nobody knows.
std::optional<OnlineLog> lun_with_log(const std::string& path);

// Has the log of an open LUN written back, or let go, and waits for it. Says on `progress` how far
// it is. Returns how it is at the end; it may be let go unasked.
OnlineLog drain_online(const std::string& lun, bool lets_go, std::FILE* progress);

}  // namespace ballast::ctl
