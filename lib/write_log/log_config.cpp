// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/log_config.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "lib/write_log/format.h"

namespace ballast::write_log {
namespace {

constexpr Bytes smallest{std::uint64_t{256} << 20};
constexpr Bytes largest{std::uint64_t{1} << 40};
constexpr Bytes step{segment_bytes};

}  // namespace

config::Keys keys_of(LogConfig& config) {
  static constexpr std::array<std::string_view, 2> orders{"epoch", "free"};
  return {{"log", config::Path{config.path}},
          {"log_size", config::Size{config.size, smallest, largest, step}},
          {"log_order", config::Choice{config.order, orders}}};
}

Result<void> check_keys(const LogConfig& config, const backend::StoreConfig& store) {
  if (config.path.empty()) {
    const bool usual = config == LogConfig{};
    return usual
               ? Result<void>{}
               : Error{EINVAL,
                       "key log_size or log_order: there is no log: add log=<path>, or remove it"};
  }
  if (!store.kind->keeps_label) {
    return Error{EINVAL, fmt::format("key log: {} has no place for a mark that says which log "
                                     "belongs to it, so it cannot have one: remove it",
                                     store.kind->name)};
  }
  if (backend::is_shared(store)) {
    return Error{EINVAL,
                 "key log: other gateways serve this store, too, and the log would be on this one "
                 "alone: remove it"};
  }
  if (store.kind->name == "file" && store.file.path == config.path) {
    return Error{EINVAL,
                 fmt::format("key log: {} is the store itself: give the log a file of its own",
                             config.path)};
  }
  return {};
}

}  // namespace ballast::write_log
