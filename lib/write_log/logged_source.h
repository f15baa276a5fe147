// SPDX-License-Identifier: Apache-2.0
// LoggedSource: gives a LUN its store with a write log in front of it.
//
// The store is opened first: its label (lib/backend/label.h) says which log it needs. If it needs
// one, the log's device is opened, never created, and must have that log. If it needs none, a file
// for the log is created where there is none, and a log is made in it. Only when that is durable,
// the label names it, so a crash in between leaves a store that needs no log. Then the log is read,
// which takes the longer the fuller it is; meanwhile the LUN is becoming ready.
#pragma once

#include <cstdint>
#include <memory>

#include "lib/backend/factory.h"
#include "lib/backend/store_source.h"
#include "lib/base/result.h"
#include "lib/write_log/log_config.h"

namespace ballast::write_log {

// As backend::open() (factory.h), with a log in front of the store.
Result<std::unique_ptr<backend::StoreSource>> open_logged(backend::StoreOrder order,
                                                          const LogConfig& log,
                                                          const backend::OpenContext& context);

// The store threads that a LUN's ring needs (io::UringOptions): the store and the log hang
// independently of each other.
std::uint8_t store_threads_for(const backend::StoreConfig& store, const LogConfig& log);

// As backend::check() (factory.h): the store, and whether its log could be used.
Result<void> check_logged(backend::StoreOrder order, const LogConfig& log, Nanoseconds patience);

}  // namespace ballast::write_log
