// SPDX-License-Identifier: Apache-2.0
// ballastctl -H HOST …: the same command on another machine, through ssh.
#pragma once

#include <string>
#include <vector>

#include "targetcli-config/ballastctl/cli_fwd.h"

namespace ballast::ctl {

struct Elsewhere {
  bool asked = false;  // the first argument is -H or --host
  std::string host;
  std::vector<std::string> arguments;  // those behind it
};
Elsewhere parse_host(int argc, char** argv);

// Shows the option in --help. parse_host() has taken it, so the App sees one only in a wrong place.
void add_host_option(CLI::App& app);

// Becomes ssh, so that its exit status, which is that of the other ballastctl, is this process's.
// Returns only if that fails, with the exit status; it has said why.
int run_elsewhere(const Elsewhere& elsewhere);

}  // namespace ballast::ctl
