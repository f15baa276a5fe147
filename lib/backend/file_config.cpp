// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/file_config.h"

#include <array>
#include <string_view>

namespace ballast::backend {

config::Key target_of(FileConfig& config) {
  return {"path", config::Path{config.path}};
}

config::Keys keys_of(FileConfig& config) {
  static constexpr std::array<std::string_view, 2> modes{"direct", "buffered"};
  return {{"cache", config::Choice{config.cache, modes}}};
}

}  // namespace ballast::backend
