// SPDX-License-Identifier: Apache-2.0
// Writer: puts changes into blocks, and blocks on the device.
//
// A change waits in the open block, by an entry in its own coroutine's frame. The open block has a
// number already: the next one. It closes when nothing else is on its way to the device, or when it
// has 16 changes, or when another change does not fit; and when the ring has room for it, and the
// pacer lets it (pacer.h). Then, in
// one turn, it gets its place, the entries' data go into its list of segments, and the entries are
// forgotten. Its task writes it; at most four are on their way. From then on a change knows its
// block by number only, and waits until `written` reaches it. Payloads are not copied: append()
// ends only when the writes of all blocks that have a part of its change have ended.
//
// `written` moves in the order of numbers, whatever order the writes end in. A block's changes go
// into the index when `written` reaches the block. `durable` follows: one flusher takes `written`
// as its target, flushes the device, and moves `durable` to the target.
//
// When a write or a flush fails, no block closes any more. The waiters hear of it once nothing is
// on its way; what had been reached before stays reached. See WriteLog::state().
//
// 100 ms after the last change the writer makes everything durable, and writes a seal: a block
// without records that says so. Then a scan notices if what is before the seal has rotted.
//
// An epoch ends whenever somebody may have been told that something is durable. A change of a
// later epoch may rely on all of the earlier ones.
//
// Memory: four headers, and for each block on its way a list of at most `most_segments` segments.
// Driving thread only.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "lib/base/result.h"
#include "lib/co/cancel.h"
#include "lib/co/event.h"
#include "lib/co/gate.h"
#include "lib/co/intrusive_list.h"
#include "lib/co/semaphore.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"
#include "lib/co/watermark.h"
#include "lib/write_log/contents.h"
#include "lib/write_log/device.h"
#include "lib/write_log/pacer.h"
#include "lib/write_log/ring.h"
#include "lib/write_log/sabotage.h"

namespace ballast::write_log {

// `data` is as long as the blocks if the kind is data, or else empty.
struct Change {
  Kind kind = Kind::data;
  Lba lba{};
  BlockCount blocks{};
  io::SgView data{};
};

// When a change counts as done.
enum class Until : bool {
  written,  // it survives the end of the process
  durable,  // it survives a power failure
};

class Writer {
 public:
  // All outlive it. `superblock`: of this opening.
  Writer(Device& device, Contents& contents, Ring& ring, Pacer& pacer, const Superblock& superblock,
         std::uint64_t epoch, const Sabotage& sabotage);

  co::Executor& executor() { return executor_; }

  // Null if it works, or what there is no memory for. Call start() once, after null.
  const char* lacks() const;
  void start();

  // As WriteLog's.
  co::Task<IoStatus> append(Change change, Until until, co::CancelToken cancel);
  co::Task<IoStatus> flush();

  // Something may have changed that the open block waits for, or the device has failed.
  void room_came();
  // No block closes any more, as after a write that failed. The first failure counts.
  void fail(IoStatus status);
  // Whether a change waits neither for room nor because of the pacer: both wait for the store.
  bool has_room() const {
    const TimePoint now = executor_.now();
    return ring_.place(longest_block).has_value() && pacer_.next(now) <= now;
  }

  IoStatus failure() const { return failure_; }
  std::uint64_t written() const { return written_.mark(); }
  std::uint64_t durable() const { return durable_.mark(); }
  std::uint64_t epoch() const { return epoch_; }
  // Makes the blocks up to `number` durable. It is not above written().
  co::Task<IoStatus> make_durable(std::uint64_t number);
  // Ends when a block of this number is written.
  co::Watermark::Waiter reached(std::uint64_t number, co::CancelToken cancel) {
    return written_.reached(number, cancel);
  }
  // When the last change came or was written.
  TimePoint last_activity() const { return last_activity_; }
  // Waits until all operations have ended, which nobody may begin any more.
  co::Task<void> close();

  static constexpr std::size_t most_on_their_way = 4;
  static constexpr std::size_t enough_records = 16;
  static constexpr std::size_t most_segments = 4096;  // as many as a block of one-byte pieces has
  static constexpr Nanoseconds quiet = std::chrono::milliseconds{100};

 private:
  friend struct Anatomy;
  struct Entry : co::ListNode<Entry> {
    explicit Entry(const Change& its) : change{its} {}
    Change change;
    std::size_t segments = 0;
    bool durable = false;
    std::uint64_t number = 0;  // of its block, once that has closed
  };
  // A block on its way. It is the task's that writes it, until the write has ended.
  struct Slot {
    Memory page{};
    Header header{};
    Position next{};
    std::vector<iovec> segments{};
    std::uint32_t payload_end = 0;
    bool ended = true;
  };

  std::uint64_t bytes_of(BlockCount blocks) const { return blocks.value() * sizes_.block; }
  Change cut(Change* rest) const;
  bool fits(const Entry& entry) const;
  // Whether there is the memory that the index needs when a block with one more record is written.
  // Then it is too late to fail.
  bool has_memory();
  void enter(Entry& entry);
  void leave(Entry& entry);
  std::uint64_t open_length() const;
  Slot& slot_of(std::uint64_t sequence) { return slots_[sequence % most_on_their_way]; }
  const Slot& slot_of(std::uint64_t sequence) const { return slots_[sequence % most_on_their_way]; }
  std::uint64_t on_their_way() const { return ring_.next().sequence - 1 - retired_; }
  // Begins a task that closes and writes the open block, or a seal, if it is time.
  void kick();
  bool is_time() const;
  // `number`: of a block that is closed already; 0: closes the open one.
  co::Task<void> write_block(std::uint64_t number);
  co::Task<void> wait_for_pace();
  // Returns the block's number; 0: there is nothing to write, or no room.
  std::uint64_t close_open();
  void put(Slot& slot, Entry& entry);
  void has_ended(std::uint64_t number, IoStatus status);
  void want(std::uint64_t number);
  co::Task<void> flush_when_wanted();
  co::Task<void> seal_when_quiet();
  bool is_quiet() const;

  Device& device_;
  co::Executor& executor_;
  Contents& contents_;
  Ring& ring_;
  Pacer& pacer_;
  const Sizes sizes_;
  const Sabotage sabotage_;
  std::uint64_t epoch_;
  Memory zeros_;  // the padding of a block

  // The open block.
  co::IntrusiveList<Entry> open_;
  std::uint64_t open_bytes_ = 0;
  std::size_t open_segments_ = 0;
  std::size_t unindexed_ = 0;  // records that have entered, and are not in the index yet
  bool full_ = false;          // somebody waits until it closes
  bool seal_due_ = false;
  bool starting_ = false;  // a task is about to close it
  co::Event pace_;         // set for a moment when it may close earlier than the pacer said
  co::Semaphore turn_;     // held by the change that enters next
  co::Event closed_;       // set for a moment when it closes, or will not any more

  std::array<Slot, most_on_their_way> slots_;
  std::uint64_t retired_;    // blocks up to this number are written, and in the index
  std::size_t unended_ = 0;  // writes
  IoStatus failure_ = IoStatus::ok;
  co::Watermark written_;
  co::Watermark durable_;
  std::uint64_t wanted_ = 0;  // somebody wants blocks up to this number durable
  co::Event wants_;

  TimePoint last_activity_{};
  std::uint64_t newest_records_ = 0;  // the newest block that has any
  std::uint64_t claimed_ = 0;         // what the newest block calls durable
  co::Event unsealed_;

  co::Gate operations_;
  co::CancelSource stop_;
  co::TaskGroup tasks_;
};

}  // namespace ballast::write_log
