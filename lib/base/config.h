// SPDX-License-Identifier: Apache-2.0
// The configuration string of one LUN, as targetcli hands it over in cfgstring= once the daemon's
// prefix "ballast/" is gone:
//
//   <scheme>:<target>[;<key>=<value>…]
//
//   file:/srv/vol0.raw;cache=buffered;queue_depth=64
//   memory:
//   null:;write_same_max=64KiB
//
// rtslib, and so targetcli, refuses any configuration with a ':' in it ("':' not allowed in config
// string", rtslib_fb/tcm.py), so the separator may also be '=': file=/srv/vol0.raw. It may be left
// out where no target follows (memory, null), and an absolute path alone is a file. Messages show
// these forms, because it is targetcli that shows the messages.
//
// Schemes
//   file:    target is the absolute path of a regular file or a block device
//   memory:  no target; contents live as long as the LUN is open
//   null:    no target; reads zeros, forgets writes
//
// Keys: the table in config.cpp (describe_keys()); each at most once, any order; one may end with
// ';'. slow and stall_after are below deadline.
//
// A path holds neither ';' (it ends the target), nor ',' (the kernel's TCMU parameter parser ends
// the whole string there, drivers/target/target_core_user.c), nor control characters. '=' is fine.
// The kernel keeps 255 characters (TCMU_CONFIG_LEN) and cuts off the rest without a word, so what
// is longer is refused here.
//
// Values: bytes "4096", "64KiB", "1MiB", "1GiB", "1TiB"; durations "500ms", "20s", "10min", "1h";
// whole numbers; yes | no. No sign, no fraction, no blank.
//
// Everything here is a pure function of its arguments, allocates no more than a few times the
// input, and may be called from any thread. A message is one sentence in valid UTF-8 whatever the
// input was: it travels over D-Bus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/limits.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::config {

enum class Scheme : std::uint8_t { file, memory, null };
enum class CacheMode : std::uint8_t { direct, buffered };

// What was asked for, with defaults filled in. Only parse() and tests make one.
struct LunConfig : Limits {
  Scheme scheme = Scheme::null;
  std::string path;  // file: the path; empty otherwise
  CacheMode cache = CacheMode::direct;
  Bytes write_same_max{std::uint64_t{1280} << 10};  // a multiple of 4096, so of every block size
  std::uint32_t queue_depth = 128;
  std::string fault_control;  // empty: no fault wrapper

  friend bool operator==(const LunConfig&, const LunConfig&) = default;
};

// TCMU_CONFIG_LEN - 1 (Linux), less the "ballast/" in front.
inline constexpr std::size_t longest_string = 255 - 8;

// The error's errno_value is EINVAL, or ENAMETOOLONG where something is too long.
Result<LunConfig> parse(std::string_view text);

// A string that parse() turns into the same LunConfig, and that targetcli takes; keys at their
// default are left out.
std::string to_string(const LunConfig& config);

const char* to_string(Scheme scheme) noexcept;  // "file", without the colon

// What a string says of time, or the defaults. What is not understood is passed over: for who reads
// the string of a plugin that has accepted it, and may be newer.
Limits limits_of(std::string_view text);

// The keys, for people.
struct KeyText {
  std::string_view name;
  std::string values;  // "100ms to 1h", "direct, buffered"
  std::string usual;   // its value where the string does not have it
};
std::vector<KeyText> describe_keys();
// "deadline, slow and busy_for": those that are live.
std::string live_keys();

// Single values. `what` names the thing in the message: "key deadline", "delay on line 3".
Result<std::uint64_t> parse_number(std::string_view what, std::string_view text);
Result<Bytes> parse_bytes(std::string_view what, std::string_view text);
Result<Nanoseconds> parse_duration(std::string_view what, std::string_view text);

// The shortest exact form that the parsers above take: "1280KiB", "20s".
std::string format_bytes(Bytes bytes);
std::string format_duration(Nanoseconds duration);

// `text` in double quotes, shortened to a readable length; bytes that are not printable UTF-8
// appear as \xNN.
std::string quote(std::string_view text);

}  // namespace ballast::config
