// SPDX-License-Identifier: Apache-2.0
// Reaper: writes what the log has to the store, from the oldest block on, and gives its room back.
//
// It works on one batch at a time (batch.h), so no block of the LUN is ever in two writes at once.
// In Order::epoch a batch is of one epoch: whenever the log is lost, the store is as some power
// failure could have left it. In Order::free it is of no one epoch then, but more changes of a
// block become one write, and batches are larger. First it reads the batch and verifies it. Then it
// writes it to the store, and flushes the store. Then it writes a superblock with the new tail, and
// only when that is durable, the room may be used again and reads go to the store.
//
// Only blocks that are durable in the log go to the store. When the log's device has failed, what
// was written there goes to the store, too, and no superblock is written any more. (If such a log
// is opened again, all of that is written back once more, and meanwhile the store is of no one
// epoch.) It goes as fast as it can then. If the store fails, the reaper waits 1 s, and then twice
// as long each time, up to a minute; the tail stands meanwhile. It waits the same way when the log
// cannot be read. A block that is not what was written is never passed on: the reaper ends, and
// with it the writer. So it does when five reads of a batch have failed with medium_error.
//
// Until a quarter of the log is used it waits for a second without changes, and has one write under
// way; then it does not wait; from one half on it has eight. What it was told to hurry with, it
// writes at once, with eight. It tells the pacer how fast it is.
//
// Driving thread only. Memory: one segment.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/base/result.h"
#include "lib/co/cancel.h"
#include "lib/co/event.h"
#include "lib/co/gate.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"
#include "lib/co/watermark.h"
#include "lib/write_log/batch.h"
#include "lib/write_log/contents.h"
#include "lib/write_log/device.h"
#include "lib/write_log/pacer.h"
#include "lib/write_log/ring.h"
#include "lib/write_log/sabotage.h"
#include "lib/write_log/superblocks.h"
#include "lib/write_log/writer.h"

namespace ballast::write_log {

class Reaper {
 public:
  // All outlive it. `superblock`: the last that was written; the reaper keeps it so.
  Reaper(Device& device, backend::Backend& store, Contents& contents, Ring& ring, Pacer& pacer,
         Writer& writer, Superblocks& superblocks, Superblock& superblock, Order order,
         const Sabotage& sabotage);

  co::Executor& executor() { return executor_; }
  const char* lacks() { return batch_.lacks(); }
  void start();

  // As WriteLog's.
  void hurry();
  co::Task<IoStatus> drain();
  // Whether it found a block that is not what was written, or that cannot be read.
  bool is_stuck() const { return is_stuck_; }
  // What it does, for whoever reads a core file.
  enum class Step : std::uint8_t {
    waits,           // for something to write back, or until it is time
    makes_durable,   // in the log, what it is to write back
    reads,           // a batch, out of the log
    writes,          // the batch, to the store
    flushes,         // the store
    trims,           // writes the superblock that gives the room back
    waits_to_retry,  // something failed
    has_ended,
  };

  // Ends the batch that is under way, early if the store can. What waits in drain() ends with
  // not_ready, and so does a later drain(). The last call but that.
  co::Task<void> close();

  static constexpr std::size_t most_writes = 8;
  static constexpr Nanoseconds idle = std::chrono::seconds{1};
  static constexpr Nanoseconds first_wait = std::chrono::seconds{1};
  static constexpr Nanoseconds longest_wait = std::chrono::seconds{60};
  static constexpr unsigned most_failed_reads = 5;  // of one batch: in 15 s, if nothing else fails

 private:
  friend struct Anatomy;
  co::Task<void> run();
  bool device_failed() const { return !ok(device_.failure()) || !ok(writer_.failure()); }
  bool hurries() const;
  bool is_time() const;
  co::Task<IoStatus> reap();
  co::Task<std::uint64_t> last_to_reap();
  void note_failed_read(IoStatus status);
  void get_stuck();
  co::Task<IoStatus> write_batch();
  co::Task<void> write_runs(std::size_t lane);
  co::Task<IoStatus> write_run(Batch::Run run, std::size_t lane);
  co::Task<IoStatus> write_zeros(Bytes offset, Bytes length);
  co::Task<IoStatus> trim();

  Device& device_;
  co::Executor& executor_;
  backend::Backend& store_;
  Contents& contents_;
  Ring& ring_;
  Pacer& pacer_;
  Writer& writer_;
  Superblocks& superblocks_;
  Superblock& superblock_;
  const Sabotage sabotage_;
  Batch batch_;
  std::array<std::vector<iovec>, most_writes> segments_;  // of each write under way
  IoStatus batch_status_ = IoStatus::ok;
  std::uint64_t hurry_to_ = 0;
  co::Watermark trimmed_;
  co::Event wanted_;
  unsigned failed_reads_ = 0;  // of the batch at the tail
  bool is_stuck_ = false;
  Step step_ = Step::waits;
  co::Gate operations_;
  co::CancelSource stop_;
  co::TaskGroup tasks_;
};

const char* to_string(Reaper::Step step);

}  // namespace ballast::write_log
