// SPDX-License-Identifier: Apache-2.0
// Single values as people write them, in the configuration string and on command lines.
//
//   bytes      "4096", "64KiB", "1MiB", "1GiB", "1TiB"
//   durations  "500ms", "20s", "10min", "1h"
//   numbers    whole
//   text       with %XX for the characters that a configuration string cannot have: %3A is ':',
//              %2C is ',', %3B is ';' and %25 is '%'
//
// A value has no sign, no fraction and no blank. Pure functions, any thread. An error message is
// one sentence in valid UTF-8, whatever the input was, because it travels over D-Bus.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::config {

// `what` names the value in the message: "key deadline", "delay on line 3". The error's errno_value
// is EINVAL.
Result<std::uint64_t> parse_number(std::string_view what, std::string_view text);
Result<Bytes> parse_bytes(std::string_view what, std::string_view text);
Result<Nanoseconds> parse_duration(std::string_view what, std::string_view text);
// The text that is meant must be UTF-8 without control characters. It may be empty.
Result<std::string> parse_text(std::string_view what, std::string_view text);

// The shortest exact form that the parsers above take: "1280KiB", "20s".
std::string format_bytes(Bytes bytes);
std::string format_duration(Nanoseconds duration);
std::string format_text(std::string_view text);

// `text` in double quotes, shortened to a readable length. Bytes that are not printable UTF-8
// appear as \xNN.
std::string quote(std::string_view text);

// The parts of `text` between separators, at least one; parts may be empty.
std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace ballast::config
