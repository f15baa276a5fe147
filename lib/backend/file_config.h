// SPDX-License-Identifier: Apache-2.0
// The settings of a file or block device in a configuration string:
// file=/srv/vol0.raw;cache=buffered.
//
// A path contains no ';' (it ends the target), no ',' (the kernel's TCMU parameter parser ends the
// string there, drivers/target/target_core_user.c) and no control characters. It may contain '='.
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
