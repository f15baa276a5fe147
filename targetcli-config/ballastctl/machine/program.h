// SPDX-License-Identifier: Apache-2.0
// Runs another program and waits for its end. Blocks; single-threaded.
#pragma once

#include <string>
#include <vector>

#include "targetcli-config/ballastctl/machine/files.h"

namespace ballast::ctl {

struct Ended {
  static constexpr int not_started = 127;
  int status;        // exit status; not_started; 128: a signal
  std::string said;  // standard output, then standard error; of not_started, why
};

// `path` as on the machine, "/usr/sbin/iscsiadm". On a real machine its name is looked up in PATH.
Ended run_program(const Files& files, const std::string& path, std::vector<std::string> arguments);

}  // namespace ballast::ctl
