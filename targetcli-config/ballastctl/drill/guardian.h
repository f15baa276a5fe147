// SPDX-License-Identifier: Apache-2.0
// The guardian of a fire drill: a process that thaws and removes everything, whatever becomes of
// the drill itself.
//
// It is forked before anything is made, into a session of its own, and holds the other end of a
// pipe. When the pipe closes, because the drill has said so or because it has died, SIGKILL
// included, the guardian thaws and removes what there is. If the drill lives but hangs, the
// guardian thaws when its time is over, and removes everything if nothing happens for five minutes
// more. So a removal goes the same way whether a drill ends well or not.
//
// A timer of systemd (systemd-run --on-active) would outlive even the end of the whole login
// session, but it cannot see the drill die: the store would stay frozen until its time. And a drill
// should work where systemd does not run.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/base/units.h"
#include "targetcli-config/ballastctl/machine/files.h"

namespace ballast::ctl::drill {

class Guardian {
 public:
  // Forks; this process must have one thread. The child inherits all locks. `freeze`: how long the
  // store may stay frozen.
  static Result<Guardian> post(const Files& files, Nanoseconds freeze);

  // To be called right before the freeze: the guardian's time runs from here.
  Result<void> watch_the_freeze();
  // Has it remove everything, waits for its end, and returns what went wrong.
  std::vector<std::string> dismiss();

 private:
  Guardian(pid_t child, UniqueFd alive, UniqueFd said)
      : child_{child}, alive_{std::move(alive)}, said_{std::move(said)} {}

  pid_t child_;
  UniqueFd alive_;  // the pipe that tells the guardian that the drill lives
  UniqueFd said_;
};

}  // namespace ballast::ctl::drill
