// SPDX-License-Identifier: Apache-2.0
// The configuration language of multipath-tools, multipath.conf(5): of its files, and of what
// multipathd shows when it is asked for its configuration. (Debian has no library for either.)
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ballast::ctl::multipath {

struct Section {
  std::string name;                                           // "devices", "device"
  std::vector<std::pair<std::string, std::string>> settings;  // values without their quotes
  std::vector<Section> sections;

  // The last one of that name.
  std::optional<std::string> find(std::string_view setting) const;
};

// The file as a section without a name. Text that is no configuration gives sections that nobody
// looks for.
Section parse(std::string_view text);

// What a section is matched with.
struct Identity {
  std::string vendor;
  std::string product;
  std::string wwid;
};

// Returns the value that counts for the disk: of its map (multipaths), else of overrides, else of
// the last device section that matches. This is the order of libmultipath/propsel.c. nullopt: none
// of them has the setting.
std::optional<std::string> said_of(const Section& configuration, const Identity& disk,
                                   std::string_view setting);
// The same, else the value of the section defaults.
std::optional<std::string> value_for(const Section& configuration, const Identity& disk,
                                     std::string_view setting);

}  // namespace ballast::ctl::multipath
