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
#include "lib/base/result.h"

namespace ballast::backend {

enum class CacheMode : std::uint8_t { direct, buffered };
// local: no other program of this machine may use the store (file_take.h). pr: a block device that
// several machines see, and that one of them owns at a time (pr_session.h).
enum class FileLock : std::uint8_t { local, pr };

struct FileConfig {
  std::string path;  // absolute
  CacheMode cache = CacheMode::direct;
  FileLock lock = FileLock::local;
  friend bool operator==(const FileConfig&, const FileConfig&) = default;
};

config::Key target_of(FileConfig& config);
config::Keys keys_of(FileConfig& config);
// Checks whether the keys suit each other.
Result<void> check_keys(const FileConfig& config);

}  // namespace ballast::backend
