// SPDX-License-Identifier: Apache-2.0
// Oracle: knows which contents each block may have, and which must survive a power cut.
//
// CONTENTS. The answer to a command decides which accesses to single blocks it counts as:
//
//   answered GOOD     READ, VERIFY: the blocks were found with these contents. WRITE, WRITE SAME:
//                     the blocks were written, once. UNMAP: the blocks became zeros, once for each
//                     descriptor that covers the block, if the LUN says that unmapped blocks read
//                     as zeros; otherwise perhaps. COMPARE AND WRITE: found and written in one
//                     access.
//   MISCOMPARE        Blocks before the one that the sense data names were found as expected, and
//                     that one was not. Nothing was written. (WRITE AND VERIFY: perhaps written.)
//   other senses      ILLEGAL REQUEST, UNIT ATTENTION, DATA PROTECT, and NOT READY of a LUN that is
//                     stopped: nothing was done. MEDIUM ERROR and the rest: changes perhaps took
//                     effect, once, block by block.
//   TASK SET FULL     Nothing was done. (UNMAP, EXTENDED COPY and WRITE AND VERIFY go to the store
//                     several times, and may find no resources after the first time. So they were
//                     perhaps done in part.)
//   BUSY              Changes perhaps took effect, once. COMPARE AND WRITE was not done, unless the
//                     LUN was being closed.
//
// register.h judges the accesses to each block. A retry is a command of its own with the same data.
// At the end of a run a command reads the whole LUN once more, so that lost writes show.
//
// SAFETY. Some answers GOOD promise that changes are safe. SYNCHRONIZE CACHE, a MODE SELECT that
// turns the cache off, and READ with FUA for its own blocks promise it for all changes that had
// been answered GOOD before the command arrived. Changes that a failed flush lost are excepted once
// a command that flushes was answered MEDIUM ERROR, because an initiator then knows. A change with
// FUA, WRITE AND VERIFY, and any change that lived wholly under WCE=0 promise it for their own
// blocks: the content is safe, or one that came over it later. (A store without a volatile cache
// keeps all of this by itself.)
//
// LOSSES. What was promised to be safe is never lost. Anything else a server may lose when it
// restarts; an access of its own then says which content went and which came back (register.h). If
// the store's client cannot know whether acknowledged data was lost, no command may promise that
// all is safe until the store is opened again.
//
// STOPPED. A command that needs the medium, and arrives after a START STOP UNIT that stopped the
// LUN was answered GOOD, is turned away, and none is otherwise. A START STOP UNIT that is not
// answered GOOD changes nothing. (EXTENDED COPY has known data because initiator.h keeps its
// sources as they are. Its data may go to several blocks, and stay the same in the next copy.)
//
// LATE LANDINGS. On a store that is not exclusive, a request of a lost connection may land later,
// over newer data. This too is an access of its own, in the moment when the store does it; on an
// exclusive store there is none, so that such a landing shows as wrong content. A command that
// adopts a read which was at the store before may still find what was there then.
//
// A LOG before the store. CONTENTS are judged as always: a block is the same register whether its
// newest data is in the log or in the store. What the store's cache loses while the LUN is closed
// is no access, because the log must still have it, unless only changes that failed have put it
// there, or an initiator was told of a failed flush, or will be told by the next one: the store was
// in use without a log, and its flush failed when it got one. Of SAFETY only this
// is judged, while the log works: what SYNCHRONIZE CACHE, a MODE SELECT that turns the cache off,
// FUA and WCE=0 promise needs a flush of the log's disk that began after the change was written, at
// the earliest moment at which it can have been. READ with FUA is not judged, nor is the store's
// cache. tests/unit/write_log/lives.h judges what a power cut leaves of a log.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "tests/sim/issued.h"
#include "tests/sim/register.h"
#include "tests/sim/sim_backend.h"
#include "tests/sim/sim_log.h"
#include "tests/sim/store_watcher.h"
#include "tests/sim/verdict.h"

namespace ballast::sim {

class Oracle final : public StoreWatcher {
 public:
  // `log`: null if there is none.
  Oracle(const SimBackend& store, const SimLog* log, Verdict& verdict)
      : store_{store}, log_{log}, verdict_{verdict}, accesses_(most_blocks) {}

  // The scale on which commands arrive and are answered: each moment comes once.
  std::uint64_t next_moment() { return ++moment_; }

  void arrived(Issued& command);
  // Takes an answered command. For a read that was answered GOOD, `found` is filled in.
  void answered(const Issued& command);
  // Begins a new device server: the mode pages have their initial values.
  void reopened();

  // --- StoreWatcher
  void lost(std::uint32_t block, Content before, Content now, std::uint32_t kept) override;
  void landed_late(std::uint32_t block, Content now) override;
  void landed_again(std::uint32_t block, Content now) override;
  void flushes_must_fail() override { unsafe_since_ = next_moment(); }
  void opened() override { unsafe_since_.reset(); }

  // Complains about every block whose history is wrong. Called once, at the end.
  void judge();
  // The number of blocks whose history the search could not decide.
  std::size_t undecided() const { return undecided_; }

 private:
  void record(const Issued& command);
  void record_miscompare(const Issued& command);
  bool nobody_owns(std::uint32_t block, Content before, Content now) const;
  bool lost_during(const Issued& command, std::uint32_t block) const;
  void add(const Issued& command, std::uint32_t block, Access access);
  std::uint64_t shown_since(const Issued& command, std::uint32_t block) const;
  void add_of_store(std::uint32_t block, Access access);
  void promise(std::uint32_t block, std::uint32_t landing) {
    promised_[block] = std::max(promised_[block], landing);
  }
  void check_safety(const Issued& command);
  void check_safety_of_log(const Issued& command);
  void excuse(const Issued& command);
  void check_stopped(const Issued& command);
  bool must_be_safe(const Issued& command) const;

  const SimBackend& store_;
  const SimLog* const log_;
  Verdict& verdict_;
  std::vector<std::vector<Access>> accesses_;  // by block
  struct LateLanding {
    std::uint32_t block = 0;
    std::size_t access = 0;            // its place among those of the block
    std::vector<std::size_t> reads{};  // operations that were at the store then
  };
  std::vector<LateLanding> late_landings_;
  std::array<std::uint32_t, most_blocks> acknowledged_{};  // newest acknowledged landing
  std::array<std::uint32_t, most_blocks> excused_{};   // lost landings that an initiator knows of
  std::array<std::uint32_t, most_blocks> promised_{};  // newest landing that an answer called safe
  TimePoint log_written_{};  // when the newest acknowledged change was in the log, at the earliest
  std::optional<std::uint64_t> unsafe_since_;     // no flush may end well
  std::optional<std::uint64_t> cache_off_since_;  // the moment of the MODE SELECT
  std::uint64_t cache_set_ = 0;                   // when the newest MODE SELECT that counts arrived
  // START STOP UNIT
  bool stopped_ = false;
  std::uint64_t stopped_set_ = 0;  // since when it is so
  unsigned start_stops_ = 0;       // unanswered
  std::uint64_t moment_ = 0;
  std::size_t undecided_ = 0;
};

}  // namespace ballast::sim
