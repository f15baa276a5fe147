// SPDX-License-Identifier: Apache-2.0
// The last line of a scenario (scenario.h). It has cmocka, so include it after the others.
#pragma once

#include <cstdio>
#include <string>

#include "tests/cmocka.h"

namespace ballast::sim {

// `wrong`: what is wrong, as Scene::end() and in_every_order() say it; empty: all is well.
inline void assert_well(const std::string& wrong) {
  if (!wrong.empty()) {
    std::fprintf(stderr, "%s\n", wrong.c_str());
  }
  assert_true(wrong.empty());
}

}  // namespace ballast::sim
