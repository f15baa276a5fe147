// SPDX-License-Identifier: Apache-2.0
// The files that doctor and tune read and write: sysfs, configfs, /proc/sys, /etc, /var/lib.
//
// Every path is absolute, as on the machine. A root is put in front of it, so that tests can have a
// tree of their own. The root comes from the environment (BALLASTCTL_ROOT). Operators have no use
// for it, so no help text has it. Blocks; single-threaded.
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
  // Uses the root from the environment.
  static Files of_this_machine();

  bool is_fake() const { return !root_.empty(); }
  // The path with the root in front.
  std::string real(std::string_view path) const { return root_ + std::string{path}; }

  bool exists(std::string_view path) const;  // also where this user may not look; then read() fails
  bool is_directory(std::string_view path) const;
  // nullopt: the file is not there or cannot be read.
  std::optional<std::string> read(std::string_view path) const;
  // The first line, without blanks at its ends. sysfs has its values in this form.
  std::optional<std::string> value(std::string_view path) const;
  // The names in a directory, sorted by the number at their end; empty if there is no such
  // directory.
  std::vector<std::string> list(std::string_view directory) const;
  // The path with symbolic links resolved, without the root. nullopt: it leads nowhere.
  std::optional<std::string> resolve(std::string_view path) const;

  // Writes the value with a newline in one write(2), as sysfs and configfs require.
  Result<void> write_value(std::string_view path, std::string_view value) const;
  // Replaces the whole content or nothing of it; it is on disk when this returns. Owner and mode
  // stay the same. Makes the directory. If the path is a symbolic link, the file that it names is
  // written.
  Result<void> replace(std::string_view path, std::string_view content,
                       mode_t mode_if_new = 0644) const;
  // A file that is not there is a success.
  Result<void> remove(std::string_view path) const;

  // Locks the directory against other processes that call this, until the descriptor is closed.
  // Makes the directory, and leaves no lock file behind. EWOULDBLOCK: another process has the lock.
  Result<UniqueFd> lock(std::string_view directory) const;

 private:
  std::string root_;
};

// "  12 " -> 12; nullopt if it is no whole decimal number.
std::optional<std::int64_t> whole_number(std::string_view text);

}  // namespace ballast::ctl
