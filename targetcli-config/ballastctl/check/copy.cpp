// SPDX-License-Identifier: Apache-2.0
// Copies of saveconfig.json (check.h).
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "targetcli-config/ballastctl/check/check.h"

namespace ballast::ctl::check {
namespace {

// The oldest first: the date and time in the names sort them.
std::vector<std::string> copies(const Files& files, const std::string& prefix) {
  const std::string folder = prefix.substr(0, prefix.rfind('/'));
  std::vector<std::string> all;
  for (const std::string& name : files.list(folder)) {
    if (std::string path = folder + "/" + name; path.starts_with(prefix)) {
      all.push_back(std::move(path));
    }
  }
  std::ranges::sort(all);
  return all;
}

}  // namespace

Result<std::string> keep_copy(const Files& files, const std::string& path, std::size_t most,
                              std::time_t now) {
  // It has the secrets of CHAP.
  constexpr mode_t of_root_alone = 0600;
  const std::string prefix = path + ".not-restored-";
  const std::optional<std::string> content = files.read(path);
  if (!content) {
    return Error{EIO, fmt::format("{} cannot be read, so no copy of it is kept", path)};
  }
  std::vector<std::string> kept = copies(files, prefix);
  if (!kept.empty() && files.read(kept.back()) == content) {
    return kept.back();
  }
  std::tm local{};
  ::localtime_r(&now, &local);
  const std::string copy = fmt::format("{}{:%Y%m%d-%H%M%S}", prefix, local);
  if (const Result<void> written = files.replace(copy, *content, of_root_alone); !written) {
    return written.error();
  }
  kept = copies(files, prefix);
  for (std::size_t i = 0; i + most < kept.size(); ++i) {
    if (const Result<void> removed = files.remove(kept[i]); !removed) {
      return removed.error();
    }
  }
  return copy;
}

}  // namespace ballast::ctl::check
