// SPDX-License-Identifier: Apache-2.0
// Deliberate bugs of the log, to check that its random lives and the simulation (tests/sim) find
// them. All are false except in tests.
#pragma once

namespace ballast::write_log {

struct Sabotage {
  bool durable_without_chain = false;     // a block counts although those before it do not yet
  bool reuse_before_superblock = false;   // room is free before the superblock says so
  bool no_link = false;                   // a block is known by its number alone
  bool index_at_issue = false;            // reads find a block before it is written
  bool flush_of_wrong_target = false;     // a flush counts for what was written meanwhile
  bool trim_without_store_flush = false;  // what the store's cache has counts as stored
  bool epochs_ignored = false;            // a batch is of several epochs
  bool no_pin = false;                    // a segment is written over while it is read
  bool cancel_after_close = false;        // "certainly not done", of what is on its way
  // Of the LUN that has a log (logged_store.h):
  bool reads_go_to_store = false;   // also for blocks whose newest data is in the log
  bool changes_pass_early = false;  // the log failed, and the store does not have all of it yet
  bool keeps_failed_log = false;    // the store's label still names a log that failed
  bool lets_go_too_early = false;   // the label lets a log go that still has something
  bool log_takes_late = false;      // changes go to a log that is just being let go
};

}  // namespace ballast::write_log
