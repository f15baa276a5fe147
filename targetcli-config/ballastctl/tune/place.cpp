// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/tune/place.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "targetcli-config/ballastctl/tune/node.h"

namespace ballast::ctl::tune {
namespace {

constexpr std::string_view first_mark = "# BEGIN ballast: written by ballastctl tune\n";
constexpr std::string_view last_mark = "# END ballast\n";

// If a node record lacks the setting, tune does not add it.
Result<Current> current_node(const Files& files, const Change& change) {
  const Result<std::optional<NodeSettings>> record =
      node_record(files, {change.target, change.portal, change.interface});
  if (!record) {
    return record.error();
  }
  if (!record.value()) {
    return Current{};
  }
  const auto found = record.value()->find(change.name);
  if (found == record.value()->end()) {
    return Current{};
  }
  return Current{true, found->second};
}

Result<Current> current_block(const Files& files, const std::string& path) {
  const std::optional<std::string> content = files.read(path);
  if (!content) {
    return Current{files.exists(path), std::nullopt};
  }
  const Result<std::optional<std::string>> block = find_block(*content);
  if (!block) {
    return Error{block.error().errno_value, path + ": " + block.error().message};
  }
  return Current{true, block.value()};
}

Result<void> put_file(const Files& files, const std::string& path,
                      const std::optional<std::string>& text) {
  const Result<void> done = text ? files.replace(path, *text) : files.remove(path);
  return done && path == multipath::file_path ? multipath::reconfigure(files) : done;
}

Result<void> put_block(const Files& files, const Change& change,
                       const std::optional<std::string>& block) {
  const std::optional<std::string> content = files.read(change.name);
  if (!content) {
    return Error{ENOENT, fmt::format("{} cannot be read", change.name)};
  }
  const Result<std::string> next = with_block(*content, block, change.after);
  if (!next) {
    return Error{next.error().errno_value, change.name + ": " + next.error().message};
  }
  return files.replace(change.name, next.value());
}

}  // namespace

const Disk* Places::disk_of(const Change& change) const {
  const auto found = std::find_if(disks_.begin(), disks_.end(), [&](const Disk& disk) {
    return disk.target == change.target && disk.portal == change.portal &&
           disk.interface == change.interface &&
           (change.kind != Kind::disk || disk.lun == change.lun);
  });
  return found == disks_.end() ? nullptr : &*found;
}

std::string Places::path_of(const Change& change) const {
  const Disk* const disk = disk_of(change);
  if (disk == nullptr) {
    return {};
  }
  if (change.kind == Kind::session) {
    return disk->replacement_timeout.path;
  }
  return change.name == "timeout"       ? disk->timeout.path
         : change.name == "max_retries" ? disk->max_retries.path
         : change.name == "eh_deadline" ? disk->eh_deadline.path
                                        : std::string{};
}

Result<Current> Places::current(const Change& change) const {
  switch (change.kind) {
    case Kind::disk:
    case Kind::session: {
      const std::string path = path_of(change);
      const std::optional<std::string> text = path.empty() ? std::nullopt : files_.value(path);
      return Current{text.has_value(), text};
    }
    case Kind::node:
      return current_node(files_, change);
    case Kind::file:
      return Current{true, files_.read(change.name)};
    case Kind::block:
      return current_block(files_, change.name);
  }
  return Current{};
}

Result<void> Places::put(const Change& change, const std::optional<std::string>& text) const {
  switch (change.kind) {
    case Kind::disk:
    case Kind::session:
      return files_.write_value(path_of(change), text.value_or(""));
    case Kind::node:
      return update_node(files_, {change.target, change.portal, change.interface}, change.name,
                         text.value_or(""));
    case Kind::file:
      return put_file(files_, change.name, text);
    case Kind::block:
      return put_block(files_, change, text);
  }
  return {};
}

std::string Places::describe(const Change& change) const {
  switch (change.kind) {
    case Kind::disk: {
      const Disk* const disk = disk_of(change);
      return fmt::format("{} {}", disk == nullptr ? fmt::format("LUN {}", change.lun) : disk->name,
                         change.name);
    }
    case Kind::session:
      return fmt::format("session to {} at {}, {}", change.target, change.portal, change.name);
    case Kind::node:
      return fmt::format("node record of {} at {}, {}", change.target, change.portal, change.name);
    case Kind::file:
    case Kind::block:
      return change.name;
  }
  return {};
}

std::string make_block(std::string_view settings) {
  return fmt::format("{}{}{}", first_mark, settings, last_mark);
}

Result<std::optional<std::string>> find_block(std::string_view content) {
  const std::size_t begin = content.find(first_mark);
  const std::size_t end = content.find(last_mark);
  if (begin == std::string_view::npos && end == std::string_view::npos) {
    return std::optional<std::string>{};
  }
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin ||
      content.find(first_mark, begin + 1) != std::string_view::npos) {
    return Error{EINVAL,
                 "the lines \"# BEGIN ballast...\" and \"# END ballast\" are not a pair: remove "
                 "the rest of the block by hand"};
  }
  return std::optional{std::string{content.substr(begin, end + last_mark.size() - begin)}};
}

Result<std::string> with_block(std::string_view content, const std::optional<std::string>& block,
                               const std::optional<std::string>& old) {
  const Result<std::optional<std::string>> found = find_block(content);
  if (!found) {
    return found.error();
  }
  std::string next{content};
  const auto bare = [](std::string_view text) {
    return text.starts_with('\n') ? text.substr(1) : text;
  };
  if (!found.value()) {
    return block ? next + *block : next;
  }
  std::size_t begin = next.find(first_mark);
  std::size_t length = found.value()->size();
  if (!block && old && old->starts_with('\n') && begin > 0 && begin + length == next.size()) {
    begin--;
    length++;
  }
  return next.replace(begin, length, block ? bare(*block) : std::string_view{});
}

}  // namespace ballast::ctl::tune
