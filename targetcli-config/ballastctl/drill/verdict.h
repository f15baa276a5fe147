// SPDX-License-Identifier: Apache-2.0
// What came of a fire drill, for people and for programs. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/base/units.h"
#include "targetcli-config/ballastctl/drill/load.h"
#include "targetcli-config/ballastctl/drill/onlooker.h"

namespace ballast::ctl::drill {

struct Verdict {
  Nanoseconds freeze{};      // that was asked for
  Nanoseconds frozen_for{};  // that it was
  Bytes size;
  bool is_interrupted = false;
  LoadSeen load;
  std::size_t behind = 0;  // processes of the load that did not go on after the thaw
  std::vector<Witness> witnesses;
  std::vector<std::string> kernel;  // its messages during the drill
  std::vector<std::string> notes;
  std::vector<std::string> left;  // what could not be removed, and why

  // Nothing was lost, and every witness has outlived it.
  bool outlived() const;
  // What went wrong for the program that wrote to the frozen LUN, each in a few words.
  std::vector<std::string> load_troubles() const;
};

std::string as_text(const Verdict& verdict);
nlohmann::ordered_json as_json(const Verdict& verdict);

}  // namespace ballast::ctl::drill
