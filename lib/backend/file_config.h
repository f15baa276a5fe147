// SPDX-License-Identifier: Apache-2.0
// What a configuration string says of a file or a block device: file=/srv/vol0.raw;cache=buffered.
//
// A path holds neither ';' (it ends the target), nor ',' (the kernel's TCMU parameter parser ends
// the whole string there, drivers/target/target_core_user.c), nor control characters. '=' is fine.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/keys.h"

namespace ballast::backend {

enum class CacheMode : std::uint8_t { direct, buffered };

struct FileConfig {
  std::string path;  // absolute
  CacheMode cache = CacheMode::direct;
  friend bool operator==(const FileConfig&, const FileConfig&) = default;
};

config::Key target_of(FileConfig& config);
config::Keys keys_of(FileConfig& config);

}  // namespace ballast::backend
