// SPDX-License-Identifier: Apache-2.0
// Asserts that a text has a part, and shows both if not. It has cmocka, so include it after the
// others.
#pragma once

#include <string>

#include "tests/cmocka.h"

namespace ballast::ring_test {

inline void assert_has(const std::string& text, const std::string& part) {
  if (text.find(part) == std::string::npos) {
    print_error("\"%s\" is not in: %s\n", part.c_str(), text.c_str());
    assert_true(false);
  }
}

}  // namespace ballast::ring_test
