// SPDX-License-Identifier: Apache-2.0
// The label of a store (lib/backend/label.h) that goes on without its write log.
#pragma once

#include "lib/backend/label.h"
#include "lib/write_log/format.h"

namespace ballast::write_log {

// The owner is a new one, so that the log is refused from now on, wherever it turns up.
inline backend::Label let_go(backend::Label label) {
  label.log = {};
  ++label.owner;
  label.path.clear();
  return label;
}

// Whether a store with this label has let this log go, or one of its own before it.
inline bool has_let_go(const backend::Label& label, const Superblock& log) {
  return !label.names_log() && label.store == log.store && label.owner > log.owner;
}

}  // namespace ballast::write_log
