// SPDX-License-Identifier: Apache-2.0
// What stands behind a LUN of a dead process: its connection, whose it is, and its write log.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/watch/snapshot.h"
#include "lib/write_log/format.h"
#include "targetcli-config/ballastctl/core/process.h"

namespace ballast::ctl::core {

// As lun::Lun::describe, of a LUN that has its store.
void describe_store(const DeadLun& dead, TimePoint now, watch::LunSnapshot& snapshot);

// The parts of a write log.
struct DeadLog {
  Object front;  // the backend that has the log in front of the store
  Object log;
  Object contents;
  Object ring;
  Object pacer;
  Object writer;
  Object reaper;

  // Nothing: it has none, or the log cannot be read.
  static std::optional<DeadLog> of(const DeadLun& dead);
  // The first block that the store does not have.
  write_log::Position tail() const;
};

// A position of a log within an object.
write_log::Position position(const Object& object, std::string_view field);

}  // namespace ballast::ctl::core
