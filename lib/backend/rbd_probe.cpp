// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

namespace ballast::backend {
namespace {

// What an image's or a pool's metadata may have changed (`rbd config image set`).
struct Relied {
  std::string_view name;
  std::string_view value;
};
constexpr std::array relied_on{
    Relied{"rbd_cache", "false"},
    Relied{"rbd_blocklist_on_break_lock", "true"},
    Relied{"rbd_blocklist_expire_seconds", "0"},
    Relied{"rbd_parent_cache_enabled", "false"},
};

// The unit in which BlueStore gives space back on hard disks, and the Linux kernel's own client
// discards. Whole objects, 4 MiB, would keep file systems from giving back smaller holes.
constexpr Bytes discard_unit{std::uint64_t{64} << 10};
// BlueStore writes no less at once.
constexpr Bytes physical_unit{4096};

std::string_view where(rbd_config_source_t source) {
  switch (source) {
    case RBD_CONFIG_SOURCE_POOL:
      return "pool's";
    case RBD_CONFIG_SOURCE_IMAGE:
      return "image's";
    case RBD_CONFIG_SOURCE_CONFIG:
      break;
  }
  return "cluster's";
}

Result<void> check_option(const RbdConnection& connection, const rbd_config_option_t& option) {
  for (const Relied& relied : relied_on) {
    if (relied.name == option.name && relied.value != option.value) {
      return Error{EINVAL,
                   fmt::format("{}: the {} settings have {}={}, which Ballast cannot work with: "
                               "remove it (rbd config)",
                               connection.name(), where(option.source), option.name, option.value)};
    }
  }
  return {};
}

Result<void> check_settings(RbdConnection& connection) {
  const RbdLibrary& library = connection.library();
  std::vector<rbd_config_option_t> options(256);
  int count = static_cast<int>(options.size());
  int listed = library.rbd_config_image_list(connection.image(), options.data(), &count);
  if (listed == -ERANGE) {
    options.resize(static_cast<std::size_t>(count));
    listed = library.rbd_config_image_list(connection.image(), options.data(), &count);
  }
  if (listed < 0) {
    return Error{-listed, fmt::format("{}: the settings of the image cannot be read: {}",
                                      connection.name(), std::strerror(-listed))};
  }
  Result<void> checked;
  for (int i = 0; i < count && checked; ++i) {
    checked = check_option(connection, options[static_cast<std::size_t>(i)]);
  }
  library.rbd_config_image_list_cleanup(options.data(), count);
  return checked;
}

}  // namespace

Result<RbdTraits> probe(RbdConnection& connection) {
  if (const Result<void> settings = check_settings(connection); !settings) {
    return settings.error();
  }
  const RbdLibrary& library = connection.library();
  rbd_image_info_t info{};
  std::uint64_t size = 0;
  int asked = library.rbd_stat(connection.image(), &info, sizeof info);
  if (asked == 0) {
    asked = library.rbd_get_size(connection.image(), &size);
  }
  if (asked < 0) {
    return Error{-asked, fmt::format("{}: the size of the image cannot be read: {}",
                                     connection.name(), std::strerror(-asked))};
  }
  return RbdTraits{.size = Bytes{size}, .object_size = Bytes{info.obj_size}};
}

Geometry rbd_geometry(const RbdTraits& traits, Bytes size, Bytes logical_block) {
  return Geometry{
      .size = size,
      .logical_block = logical_block,
      .physical_block = std::max(logical_block, physical_unit),
      .discard_granularity = std::max(logical_block, std::min(discard_unit, traits.object_size)),
      .rotational = false};
}

}  // namespace ballast::backend
