// SPDX-License-Identifier: Apache-2.0
// Where a Change (tune_record.h) happens: what is there now, and putting something else there.
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
  // `disks`: all of ours that are there now.
  Places(const Files& files, std::vector<Disk> disks) : files_{files}, disks_{std::move(disks)} {}

  Result<Current> current(const Change& change) const;
  Result<void> put(const Change& change, const std::optional<std::string>& text) const;
  // "sda timeout", "session to IQN at PORTAL recovery_tmo", ...
  std::string describe(const Change& change) const;

 private:
  const Disk* disk_of(const Change& change) const;
  std::string path_of(const Change& change) const;

  const Files& files_;
  std::vector<Disk> disks_;
};

// --- our block in a file of somebody else's; pure
// --------------------------------------------------

// `settings`: lines. With the marks around them.
std::string make_block(std::string_view settings);
// Our block, marks included, from its first mark on; nullopt: there is none. The error: a mark is
// alone.
Result<std::optional<std::string>> find_block(std::string_view content);
// The content with `block` in the place of ours, or at the end; nullopt: without. A block begins
// with a newline where the text before it has none at its end, and takes it away with it.
Result<std::string> with_block(std::string_view content, const std::optional<std::string>& block,
                               const std::optional<std::string>& old);

}  // namespace ballast::ctl::tune
