// SPDX-License-Identifier: Apache-2.0
// LUNs of which nothing is real but what they tell, for tests of who asks them.
#pragma once

#include <string>

#include "handler/lun_directory.h"

namespace ballast::testing {

// What a LUN tells; the first word of a name chooses, before a '-':
//   calm     one READ has just come
//   stalled  for 4 s; a WRITE older than its deadline, an orphan, an adopting retry, slow requests
//   faulty   has a fault wrapper, whose control file is `fault_control`
//   silent   does not answer: waits out the caller's patience
//   strange  a name and a path that no terminal should see as they are
class MadeUpLun final : public handler::ControlledLun {
 public:
  MadeUpLun(std::string name, std::string fault_control);
  std::string name() const override { return name_; }
  bool snapshot(const watch::Lists& lists, watch::LunSnapshot* into, Nanoseconds patience) override;
  void daemon_stops() override;  // says so on standard error

 private:
  bool is(std::string_view kind) const;
  const std::string name_;
  const std::string fault_control_;
};

}  // namespace ballast::testing
