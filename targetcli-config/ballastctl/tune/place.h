// SPDX-License-Identifier: Apache-2.0
// Places: reads and writes the places of a Change (record.h). Blocks; single-threaded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/machine/settings.h"
#include "targetcli-config/ballastctl/tune/record.h"

namespace ballast::ctl::tune {

struct Current {
  bool there = false;               // false: the disk, session or record is gone
  std::optional<std::string> text;  // nullopt: no such file or block
};

class Places {
 public:
  // `disks`: all of Ballast's disks that are there now. `files` must outlive this.
  Places(const Files& files, std::vector<Disk> disks) : files_{files}, disks_{std::move(disks)} {}

  // The state of the place now.
  Result<Current> current(const Change& change) const;
  // Puts `text` there; nullopt removes the file or block.
  Result<void> put(const Change& change, const std::optional<std::string>& text) const;
  // "sda timeout", "session to IQN at PORTAL recovery_tmo", ...
  std::string describe(const Change& change) const;

 private:
  const Disk* disk_of(const Change& change) const;
  std::string path_of(const Change& change) const;

  const Files& files_;
  std::vector<Disk> disks_;
};

// --- a block of Ballast in another program's file; pure ------------------------------------------

// Puts the marks around `settings`, which are whole lines.
std::string make_block(std::string_view settings);
// Finds Ballast's block: from its first mark to the last one, marks included. nullopt: there is
// none. It is an error if the marks are not one pair.
Result<std::optional<std::string>> find_block(std::string_view content);
// Returns the content with `block` in the place of the block that is there, or at the end. If
// `block` is nullopt, the block that is there is removed. A new block begins with a newline if the
// text before it ends without one. `old` is the block as it was written: if it began with such a
// newline, removing the block removes the newline, too.
Result<std::string> with_block(std::string_view content, const std::optional<std::string>& block,
                               const std::optional<std::string>& old);

}  // namespace ballast::ctl::tune
