// SPDX-License-Identifier: Apache-2.0
#include "handler/alua.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/unique_fd.h"

namespace ballast::handler {
namespace {

constexpr const char* kernels_own = "default_tg_pt_gp";
constexpr std::size_t most_names = 64;  // of groups that are looked at

std::string read_text(const UniqueFd& file) {
  std::string text;
  std::array<char, 4096> piece;
  ssize_t got = 0;
  while (file && (got = ::read(file.get(), piece.data(), piece.size())) > 0) {
    text.append(piece.data(), static_cast<std::size_t>(got));
    if (text.size() > 16 * piece.size()) {
      break;
    }
  }
  return text;
}

std::optional<std::uint16_t> number(std::string_view text) {
  std::uint16_t value = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
  return wrong == std::errc{} ? std::optional{value} : std::nullopt;
}

std::vector<std::string> names_in(int folder) {
  std::vector<std::string> names;
  UniqueFd own{::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  DIR* const listing = own ? ::fdopendir(own.get()) : nullptr;
  if (listing == nullptr) {
    return names;
  }
  (void)own.release();
  while (const dirent* const entry = ::readdir(listing)) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with('.') && name != kernels_own && names.size() < most_names) {
      names.emplace_back(name);
    }
  }
  ::closedir(listing);
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_in(int folder, const std::string& path) {
  return read_text(UniqueFd{::openat(folder, path.c_str(), O_RDONLY | O_CLOEXEC)});
}

// A line of `members`: "iSCSI/iqn.2003-01.org.x/tpgt_1/lun_0".
struct Port {
  std::uint16_t tag = 0;
  bool enabled = false;
};
std::optional<Port> read_port(const std::string& targets, std::string_view member) {
  const std::size_t tpg = member.rfind("/tpgt_");
  if (tpg == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view rest = member.substr(tpg + 6);
  const std::optional<std::uint16_t> tag = number(rest.substr(0, rest.find('/')));
  if (!tag.has_value()) {
    return std::nullopt;
  }
  // The fabric module calls itself iSCSI, and its folder iscsi.
  std::string target{member.substr(0, tpg)};
  if (target.starts_with("iSCSI/")) {
    target.replace(0, 5, "iscsi");
  }
  const std::string path = fmt::format("{}/{}/tpgt_{}/enable", targets, target, *tag);
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  return Port{.tag = *tag, .enabled = number(read_text(file)).value_or(0) == 1};
}

// Collects groups, and finds what is wrong with them.
class Collector {
 public:
  explicit Collector(const std::string& targets) : targets_{targets} {}

  void add(std::uint16_t id, std::string_view members) {
    scsi::TargetPortGroup group{.id = id};
    while (!members.empty()) {
      const std::size_t end = members.find('\n');
      if (const std::optional<Port> port = read_port(targets_, members.substr(0, end))) {
        add(group, *port);
      }
      members.remove_prefix(end == std::string_view::npos ? members.size() : end + 1);
    }
    if (!group.ports.empty()) {
      reading_.groups.all.push_back(std::move(group));
    }
  }

  GroupReading end() {
    auto& all = reading_.groups.all;
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    if (all.size() > scsi::TargetPortGroups::most_groups) {
      say(fmt::format("it is in {} target port groups, and {} are possible: remove some",
                      all.size(), scsi::TargetPortGroups::most_groups));
    } else if (all.empty()) {
      say("it is in no target port group, so initiators cannot move it to another gateway: make a "
          "group for each gateway, and put the LUN of each TPG into it "
          "(docs/high-availability.md)");
    } else if (enabled_ != 1) {
      say(
          fmt::format("{} of its TPGs are enabled here; one must be, that of this gateway, so that "
                      "Ballast knows by which one commands come",
                      enabled_));
    }
    if (!reading_.problem.empty()) {
      reading_.groups = {};
    }
    return std::move(reading_);
  }

 private:
  void add(scsi::TargetPortGroup& group, const Port& port) {
    if (std::find(tags_.begin(), tags_.end(), port.tag) != tags_.end()) {
      say(fmt::format("two of its TPGs have the tag {}: give each TPG of each target another tag",
                      port.tag));
    }
    tags_.push_back(port.tag);
    if (port.enabled) {
      ++enabled_;
      reading_.groups.own_group = group.id;
      reading_.groups.own_port = port.tag;
    }
    if (group.ports.size() == scsi::TargetPortGroups::most_ports) {
      say(fmt::format("more than {} TPGs are in its group {}: remove some",
                      scsi::TargetPortGroups::most_ports, group.id));
      return;
    }
    group.ports.push_back(port.tag);
  }
  void say(std::string problem) {
    if (reading_.problem.empty()) {
      reading_.problem = std::move(problem);
    }
  }

  const std::string& targets_;
  GroupReading reading_;
  std::vector<std::uint16_t> tags_;
  std::size_t enabled_ = 0;
};

}  // namespace

GroupReading read_groups(int folder, const std::string& targets) {
  Collector collector{targets};
  for (const std::string& name : names_in(folder)) {
    const std::optional<std::uint16_t> id = number(read_in(folder, name + "/tg_pt_gp_id"));
    if (id.has_value() && *id != 0) {
      collector.add(*id, read_in(folder, name + "/members"));
    }
  }
  return collector.end();
}

}  // namespace ballast::handler
