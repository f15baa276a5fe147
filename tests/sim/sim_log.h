// SPDX-License-Identifier: Apache-2.0
// SimLog: the write log of a simulated LUN, on simulated disks, which outlive each opening.
//
// before() opens the log as a daemon does (lib/write_log/logged_source.h), so that the first
// opening makes it, and a LUN may be closed meanwhile. The store keeps the label (SimSource in
// lun.cpp). After a log was let go, because its disk failed or the operator wanted it, the operator
// gives the next opening another disk, or leaves it without one. The log has the smallest size; a
// large `unit` fills it soon.
//
// For the monitor it knows what needs nothing of the store. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "lib/backend/label.h"
#include "lib/backend/log_control.h"
#include "lib/backend/store_source.h"
#include "lib/write_log/logged_store.h"
#include "tests/sim/sim_backend.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/verdict.h"
#include "tests/sim/wish.h"

namespace ballast::sim {

class SimLog {
 public:
  // `unit`: the disk's physical block in bytes. `behind`: the store that has the log before it.
  SimLog(co::Executor& executor, std::uint64_t seed, std::size_t unit,
         const write_log::Sabotage& sabotage, const SimBackend& behind, Verdict& verdict);

  // What gives a LUN of this size the store with the log before it. `may_go_alone`: an operator may
  // leave it without a log, after it was let go.
  std::unique_ptr<backend::StoreSource> before(std::unique_ptr<backend::StoreSource> store,
                                               const std::optional<backend::Label>& label,
                                               Bytes lun, bool may_go_alone);
  // The LUN is being closed: nothing of its log is looked at any more.
  void forget();

  // The disk of the open log begins to fail: so many per mille of its writes and flushes.
  void fail(unsigned chance);
  void end_failing() { set_failures(0); }
  bool has_failed() const { return has_failed_; }
  // Whether a write with FUA ever passed the log by and failed at the store.
  bool has_failed_behind() const { return has_failed_behind_; }
  // As an operator who wants the store to let the log go, and asks once more, or not.
  void want_to_let_go();
  // Whether the log is open and works, and changes go there.
  bool works() const;
  bool damaged() const;
  // Whether the store does not slow changes either: from three quarters on it may (pacer.h).
  bool has_room() const;
  bool covers(const Range& range) const;
  bool is_full() const {
    return works() && store_->write_log().fullness() >= write_log::Pacer::upto;
  }
  // When a change that arrived then was written at the earliest; nothing: it was not.
  std::optional<TimePoint> written_since(TimePoint arrived) const {
    return disk_->written_since(arrived);
  }
  // Whether the disk was flushed since.
  bool flushed_since(TimePoint written) const { return disk_->flushed_since(written); }

 private:
  class Source;
  class Watched;
  void opened(write_log::LoggedStore* store) { store_ = store; }
  const char* state() const { return control_of(*store_).view().state; }
  static backend::LogControl& control_of(backend::Backend& store) { return *store.log_control(); }
  void set_failures(unsigned chance);
  static test::DiskTemper temper();

  co::Executor& executor_;
  co::Random random_;
  const std::size_t unit_;
  const write_log::Sabotage sabotage_;
  const SimBackend& behind_;
  Verdict& verdict_;
  std::deque<test::Medium> media_;  // by the owner that the label names
  bool has_failed_ = false;         // perhaps
  bool has_failed_behind_ = false;
  test::SimDisk* disk_ = nullptr;            // of the log that is open, or being opened
  write_log::LoggedStore* store_ = nullptr;  // that is open
};

}  // namespace ballast::sim
