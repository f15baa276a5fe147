// SPDX-License-Identifier: Apache-2.0
// SimLog: the write log of a simulated LUN, on simulated disks, which outlive each opening.
//
// before() opens the log as a daemon does (lib/write_log/logged_source.h), so that the first
// opening makes it, and a LUN may be closed meanwhile. The store keeps the label (SimSource in
// lun.cpp). After a log was let go, because its disk failed, the operator gives the next opening
// another disk. The log has the smallest size; a large `unit` fills it soon.
//
// For the monitor it knows what needs nothing of the store. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "lib/backend/label.h"
#include "lib/backend/store_source.h"
#include "lib/write_log/write_log.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/verdict.h"
#include "tests/sim/wish.h"

namespace ballast::sim {

class SimLog {
 public:
  // `unit`: the disk's physical block in bytes.
  SimLog(co::Executor& executor, std::uint64_t seed, std::size_t unit,
         const write_log::Sabotage& sabotage, Verdict& verdict);

  // What gives a LUN of this size the store with the log before it.
  std::unique_ptr<backend::StoreSource> before(std::unique_ptr<backend::StoreSource> store,
                                               const std::optional<backend::Label>& label,
                                               Bytes lun);
  // The LUN is being closed: nothing of its log is looked at any more.
  void forget();

  // The disk of the open log begins to fail: so many per mille of its writes and flushes.
  void fail(unsigned chance);
  void end_failing() { set_failures(0); }
  bool has_failed() const { return has_failed_; }
  // Whether the log is open and works.
  bool works() const;
  bool damaged() const;
  // Whether the store does not slow changes either: from three quarters on it may (pacer.h).
  bool has_room() const;
  bool covers(const Range& range) const;
  bool is_full() const { return works() && log_->fullness() >= write_log::Pacer::upto; }
  // When a change that arrived then was written at the earliest; nothing: it was not.
  std::optional<TimePoint> written_since(TimePoint arrived) const {
    return disk_->written_since(arrived);
  }
  // Whether the disk was flushed since.
  bool flushed_since(TimePoint written) const { return disk_->flushed_since(written); }

 private:
  class Source;
  void opened(const write_log::WriteLog& log) { log_ = &log; }
  void set_failures(unsigned chance);
  static test::DiskTemper temper();

  co::Executor& executor_;
  co::Random random_;
  const std::size_t unit_;
  const write_log::Sabotage sabotage_;
  Verdict& verdict_;
  std::deque<test::Medium> media_;            // by the owner that the label names
  bool has_failed_ = false;                   // perhaps
  test::SimDisk* disk_ = nullptr;             // of the log that is open, or being opened
  const write_log::WriteLog* log_ = nullptr;  // that is open
};

}  // namespace ballast::sim
