// SPDX-License-Identifier: Apache-2.0
// The address that the exporter serves on: "127.0.0.1:9728", "[::1]:9728". Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace ballast::exporter {

struct Address {
  std::string host;        // numeric; one of IPv6 in brackets
  std::uint16_t port = 0;  // 0: the kernel chooses one

  std::string text() const;
};

// The error is a sentence.
Result<Address> parse_address(std::string_view text);

}  // namespace ballast::exporter
