// SPDX-License-Identifier: Apache-2.0
// The configuration string of one LUN, as targetcli passes it in cfgstring=, without the daemon's
// prefix:
//
//   <kind>=<target>[;<key>=<value>…]
//
//   file=/srv/vol0.raw;cache=buffered;queue_depth=64
//   memory
//   null;write_same_max=64KiB
//
// An absolute path alone means a file. A ':' may take the place of the first '=', but targetcli
// does not accept it: rtslib refuses any configuration with a ':' in it ("':' not allowed in config
// string", rtslib_fb/tcm.py). The kinds are rows of lib/backend/kinds.cpp. Each key may be given
// once, and the order does not matter. The string may end with ';'.
//
// The kernel keeps 255 characters (TCMU_CONFIG_LEN) and cuts off the rest without an error, so a
// longer string is refused here. What many LUNs have in common can be in a profile (profiles.h).
//
// Everything here is a pure function of its arguments, allocates no more than a few times the
// input, and may be called from any thread. An error message is one sentence. It is valid UTF-8 for
// any input, because it travels over D-Bus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/backend/elevator_config.h"
#include "lib/backend/kinds.h"
#include "lib/base/limits.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/lun/profiles.h"
#include "lib/write_log/log_config.h"

namespace ballast::lun {

// Values of LunConfig::poll besides a share.
inline constexpr std::uint32_t poll_off = 0;
inline constexpr std::uint32_t poll_auto = 101;
// What "auto" may spend in vain, for all LUNs together: percent of one processor.
inline constexpr std::uint32_t poll_auto_percent = 5;

// The settings of a LUN. A setting that the string does not have has its default.
struct LunConfig : config::Limits {
  backend::StoreConfig store;
  write_log::LogConfig log;
  backend::ElevatorConfig elevator;
  std::string profile;                              // "": none; see profiles.h
  std::string copy_group;                           // "": none; see copy_offers.h
  Bytes write_same_max{std::uint64_t{1280} << 10};  // a multiple of 4096: of every block size
  // The room of the store below which initiators and the log are told; 0: they are not.
  Bytes soft_threshold{};
  std::uint32_t queue_depth = 128;
  // How much of one processor the LUN may poll away in vain, in percent; poll_off or poll_auto.
  std::uint32_t poll = poll_auto;

  friend bool operator==(const LunConfig&, const LunConfig&) = default;
};

// What the daemon's string has before ours: the handler's name there.
inline constexpr std::string_view daemon_prefix = "ballast/";
// TCMU_CONFIG_LEN - 1 (Linux), less the prefix.
inline constexpr std::size_t longest_string = 255 - daemon_prefix.size();

// The settings of the string, with those of its profile and of [defaults] where it has none. On
// error, errno_value is EINVAL, or ENAMETOOLONG if the string or the path is too long.
Result<LunConfig> parse(std::string_view text, const Profiles& profiles);
// What the string alone says. `profile` is only a name then.
Result<LunConfig> parse(std::string_view text);

// Returns a string that parse() turns into the same LunConfig and that targetcli accepts. It leaves
// out keys that have their default.
std::string to_string(const LunConfig& config);

// The settings of `open`, but the live ones of `wanted`.
LunConfig with_live_settings(const LunConfig& open, const LunConfig& wanted);

// Each setting of a LUN, and who says so. Without `profiles`: what the string alone says.
struct Setting {
  std::string_view name;
  std::string value;  // "" : none
  std::string from;   // "string", "[profile database]", "[defaults]"; empty: Ballast's default
  bool live;          // as in KeyText
};
Result<std::vector<Setting>> settings(std::string_view text, const Profiles* profiles);

// The keys of every kind, for help texts.
struct KeyText {
  std::string_view name;
  std::string values;  // "100ms to 1h", "direct, buffered"
  std::string usual;   // the default
  bool live;           // the key may change while the LUN is in use
};
std::vector<KeyText> describe_keys();
// Returns the live keys as text: "deadline, slow and busy_for".
std::string live_keys();

}  // namespace ballast::lun
