// SPDX-License-Identifier: Apache-2.0
// The LUNs of one process whose blocks an EXTENDED COPY of another LUN may read.
//
// A LUN with a copy_group offers itself to the others of that group (CopyOffer). A copy finds the
// offer by the LUN's NAA designator, and sends it its wishes as messages. The LUN serves them on
// its own executor (CopyReads), as reads of its volume: fences, tiers and the elevator treat them
// like those of an initiator. The blocks are read into a buffer of the LUN that has them, and moved
// from there into that of the copy. So a copy that is not wanted any more leaves at once, and its
// LUN may close, while the other one hangs.
//
// Threads. CopyOffers and CopyOffer: any. CopyReads: the driving thread of its LUN's executor.
//
// Bounds. A LUN reads for four copies at once; others wait, until their own deadlines, and each LUN
// has four that ask. No more than most_waiting wishes are on their way to it, so that nobody who
// asks ever waits for room in its mailbox.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "lib/base/line_limit.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/cancel.h"
#include "lib/co/executor.h"
#include "lib/co/intrusive_list.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"
#include "lib/io/scratch.h"
#include "lib/scsi/copy_source.h"
#include "lib/scsi/naa.h"
#include "lib/volume/volume.h"

namespace ballast::lun {

class CopyReads;
struct CopyRead;

class CopyOffer final : public scsi::CopySource {
 public:
  // When a copy that waits is told of in the log, once in ten seconds at most.
  static constexpr Nanoseconds patience = std::chrono::seconds{1};
  CopyOffer(std::string group, const scsi::Naa& naa, const volume::Volume& volume,
            CopyReads& reads);

  scsi::CopyLun unit() const override;
  co::Task<IoStatus> read(co::Executor& asker, co::CancelToken cancel, Lba lba,
                          std::span<std::byte> to) override;

 private:
  friend class CopyOffers;
  friend class CopyReads;
  enum class Wish : std::uint8_t { read, stop };
  // Has the LUN run it. Returns no_resource if too many wait, and not_ready if it is closed.
  IoStatus send(Wish wish, const std::shared_ptr<CopyRead>& read);
  void complain(const co::Executor& asker);

  const std::string name_;  // the LUN's
  const std::string group_;
  const scsi::Naa naa_;
  const Bytes block_;
  std::atomic<std::uint64_t> capacity_;  // in blocks
  std::mutex mutex_;
  CopyReads* reads_;  // null: the LUN takes no more wishes
  LineLimit lines_{1, std::chrono::seconds{10}};
};

// There is one for all LUNs of the process, and it outlives them.
class CopyOffers {
 public:
  void add(std::shared_ptr<CopyOffer> offer);
  void remove(const CopyOffer* offer) noexcept;
  // Null if the group has no LUN of this name besides `but`, or more than one.
  std::shared_ptr<CopyOffer> find(const std::string& group, const scsi::Naa& naa,
                                  const CopyOffer* but);

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<CopyOffer>> offers_;
};

// What one LUN reads for the copies of others. `offers` may be null: then there are no others.
// While `stopped` returns true, it reads nothing.
class CopyReads final : public scsi::CopySources {
 public:
  static constexpr std::size_t most_waiting = 64;

  CopyReads(co::Executor& executor, CopyOffers* offers, std::function<bool()> stopped);
  ~CopyReads() override;

  co::Executor& executor() { return executor_; }

  // From now on the others of the group may read `volume`, which outlives join(). Again with
  // another name: that one counts. May throw std::bad_alloc; then nothing has changed.
  void offer(const std::string& group, const scsi::Naa& naa, volume::Volume& volume);
  void capacity_changed();
  // Ends the offer for good, and the reads that the store has not begun.
  void withdraw();
  // After withdraw(): ends when nobody reads any more.
  co::Task<void> join();

  std::shared_ptr<scsi::CopySource> find(const scsi::Naa& naa) override;

 private:
  friend class CopyOffer;
  struct Serving;
  void take_back();
  void take(CopyOffer::Wish wish, const std::shared_ptr<CopyRead>& read);
  void arrived() { on_the_way_.fetch_sub(1, std::memory_order_relaxed); }  // a wish
  co::Task<void> serve(std::shared_ptr<CopyRead> read);
  co::Task<IoStatus> fetch(CopyRead& read, volume::Request& request);

  co::Executor& executor_;
  CopyOffers* const offers_;
  const std::function<bool()> stopped_;
  volume::Volume* volume_ = nullptr;
  std::shared_ptr<CopyOffer> offer_;
  bool withdrawn_ = false;
  // Two for each wish: one until its sender has let go of the mailbox, and one until it has
  // arrived.
  std::atomic<std::size_t> on_the_way_{0};
  co::TaskGroup tasks_;
  io::ScratchPool buffers_;
  co::IntrusiveList<Serving> serving_;
};

}  // namespace ballast::lun
