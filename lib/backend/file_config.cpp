// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/file_config.h"

#include <array>
#include <cerrno>
#include <string_view>

namespace ballast::backend {

config::Key target_of(FileConfig& config) {
  return {"path", config::Path{config.path}};
}

config::Keys keys_of(FileConfig& config) {
  static constexpr std::array<std::string_view, 2> modes{"direct", "buffered"};
  static constexpr std::array<std::string_view, 2> locks{"local", "pr"};
  return {{"cache", config::Choice{config.cache, modes}},
          {"lock", config::Choice{config.lock, locks}}};
}

Result<void> check_keys(const FileConfig& config) {
  if (config.lock == FileLock::pr && config.cache == CacheMode::buffered) {
    return Error{EINVAL,
                 "key lock: with cache=buffered this machine would keep data of a device that "
                 "another one changes, so it cannot have lock=pr: remove one of them"};
  }
  return {};
}

}  // namespace ballast::backend
