// SPDX-License-Identifier: Apache-2.0
// LUNs of which only the answers exist, for tests of the code that asks LUNs.
#pragma once

#include <functional>
#include <string>

#include "handler/lun_directory.h"

namespace ballast::testing {

// A LUN that gives made-up answers. The part of its name before a '-' chooses them:
//   calm     one READ has just come
//   stalled  for 4 s; a WRITE older than its deadline, an orphan, an adopting retry, slow requests
//   faulty   has a fault wrapper, whose control file is `fault_control`
//   stuck    as silent, and a thread of it has been stuck for 12 s
//   half     as calm, but its command thread has been stuck for 12 s
//   silent   does not answer: waits until the caller's patience has ended
//   shared   stands by, and can be moved once
//   logged   has a write log with 3 MiB that wait; after the third wish the store has everything,
//   and
//            has let the log go, if that was the wish
//   strange  a name and a path that no terminal should see as they are
class MadeUpLun final : public handler::ControlledLun {
 public:
  MadeUpLun(std::string name, std::string fault_control);
  std::string name() const override { return name_; }
  bool snapshot(const watch::Lists& lists, watch::LunSnapshot* into, Nanoseconds patience) override;
  std::optional<watch::StuckThread> stuck(Nanoseconds at_least) const override;
  void move(bool here, std::function<void(Result<void>)> done) override;
  void write_log_back(bool lets_go, std::function<void(Result<watch::LunSnapshot>)> done) override;
  void daemon_stops() override;  // prints a line on standard error
  // Tells the bus that it stalls (a `stalled` one), or has recovered, from a thread of its own.
  void tell(bool stalls) const;

 private:
  bool is(std::string_view kind) const;
  watch::LogView log() const;
  const std::string name_;
  const std::string fault_control_;
  bool owner_ = false;
  unsigned wishes_ = 0;
  bool lets_go_ = false;
};

}  // namespace ballast::testing
