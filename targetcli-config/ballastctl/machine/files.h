// SPDX-License-Identifier: Apache-2.0
// The files that doctor and tune look at and write: sysfs, configfs, /proc/sys, /etc, /var/lib.
//
// Every path is absolute, as on the machine; a root is put in front of it, so that tests have a
// tree of their own. An operator has no use for that: the root comes from the environment
// (BALLASTCTL_ROOT) and is in no help text. Blocks; single-threaded.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace ballast::ctl {

class Files {
 public:
  explicit Files(std::string root) : root_{std::move(root)} {}
  static Files of_this_machine();

  bool is_fake() const { return !root_.empty(); }
  // Where the file really is.
  std::string real(std::string_view path) const { return root_ + std::string{path}; }

  bool exists(std::string_view path) const;
  bool is_directory(std::string_view path) const;
  // nullopt: it is not there or cannot be read.
  std::optional<std::string> read(std::string_view path) const;
  // The first line without blanks at its ends, as sysfs has its values.
  std::optional<std::string> value(std::string_view path) const;
  // Names in a directory, sorted by number where they end in one; empty if it is not there.
  std::vector<std::string> list(std::string_view directory) const;
  // Without symbolic links, and without the root.
  std::optional<std::string> resolve(std::string_view path) const;

  // One write(2), as sysfs and configfs want it.
  Result<void> write_value(std::string_view path, std::string_view value) const;
  // All of it or nothing, on disk when this returns; owner and mode stay as they were. Makes the
  // directory. Behind a symbolic link the file it names is written.
  Result<void> replace(std::string_view path, std::string_view content,
                       mode_t mode_if_new = 0644) const;
  Result<void> remove(std::string_view path) const;

  // Keeps others who ask for the same out until the descriptor is closed; leaves no file behind.
  // Makes the directory. EWOULDBLOCK: somebody has it.
  Result<UniqueFd> lock(std::string_view directory) const;

 private:
  std::string root_;
};

// "  12 " -> 12; nullopt if it is no whole decimal number.
std::optional<std::int64_t> whole_number(std::string_view text);

}  // namespace ballast::ctl
