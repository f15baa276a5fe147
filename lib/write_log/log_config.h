// SPDX-License-Identifier: Apache-2.0
// The settings of a write log in a configuration string:
// file=/srv/vol0.raw;log=/fast/vol0.log;log_size=4GiB.
#pragma once

#include <cstdint>
#include <string>

#include "lib/backend/kinds.h"
#include "lib/base/keys.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/write_log/batch.h"

namespace ballast::write_log {

struct LogConfig {
  std::string path;  // absolute: a file or a block device; empty: there is no log
  Bytes size{std::uint64_t{1} << 30};
  Order order = Order::epoch;
  friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

config::Keys keys_of(LogConfig& config);
// Checks whether the keys suit each other and the store.
Result<void> check_keys(const LogConfig& config, const backend::StoreConfig& store);

}  // namespace ballast::write_log
