// SPDX-License-Identifier: Apache-2.0
// The configuration string of one LUN, as targetcli hands it over in cfgstring= once the daemon's
// prefix "ballast/" is gone:
//
//   <kind>=<target>[;<key>=<value>…]
//
//   file=/srv/vol0.raw;cache=buffered;queue_depth=64
//   memory
//   null;write_same_max=64KiB
//
// An absolute path alone is a file. A ':' may stand for the first '=', but not in targetcli: rtslib
// refuses any configuration with one in it ("':' not allowed in config string", rtslib_fb/tcm.py).
// Kinds are rows of lib/backend/kinds.cpp. Keys are each at most once, in any order; one may end
// with ';'.
//
// The kernel keeps 255 characters (TCMU_CONFIG_LEN) and cuts off the rest without a word, so what
// is longer is refused here.
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

#include "lib/backend/kinds.h"
#include "lib/base/limits.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::lun {

// What was asked for, with defaults filled in. Only parse() and tests make one.
struct LunConfig : config::Limits {
  backend::StoreConfig store;
  Bytes write_same_max{std::uint64_t{1280} << 10};  // a multiple of 4096, so of every block size
  std::uint32_t queue_depth = 128;

  friend bool operator==(const LunConfig&, const LunConfig&) = default;
};

// TCMU_CONFIG_LEN - 1 (Linux), less the "ballast/" in front.
inline constexpr std::size_t longest_string = 255 - 8;

// The error's errno_value is EINVAL, or ENAMETOOLONG where something is too long.
Result<LunConfig> parse(std::string_view text);

// A string that parse() turns into the same LunConfig, and that targetcli takes; keys at their
// default are left out.
std::string to_string(const LunConfig& config);

// The keys of every kind, for people.
struct KeyText {
  std::string_view name;
  std::string values;  // "100ms to 1h", "direct, buffered"
  std::string usual;   // its value where the string does not have it
  bool live;           // may change while the LUN is in use
};
std::vector<KeyText> describe_keys();
// "deadline, slow and busy_for": those that are live.
std::string live_keys();

}  // namespace ballast::lun
