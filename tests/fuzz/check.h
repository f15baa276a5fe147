// SPDX-License-Identifier: Apache-2.0
// What a fuzzer finds: something does not hold. It ends the process then, so that libFuzzer keeps
// the input.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "lib/base/values.h"

namespace ballast::test {

// `text`: what it was seen on.
inline void check(bool holds, const char* what, std::string_view text = {}) {
  if (!holds) {
    std::fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(text.size()), text.data());
    std::abort();
  }
}

// `longest`: bytes.
inline void check_sentence(std::string_view message, std::size_t longest) {
  check(!message.empty(), "no sentence");
  check(message.size() <= longest, "a sentence that is too long", message);
  check(config::parse_text("", config::format_text(message)).ok(),
        "a message that is not one line of printable UTF-8", message);
}

}  // namespace ballast::test
