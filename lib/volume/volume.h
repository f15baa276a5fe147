// SPDX-License-Identifier: Apache-2.0
// Volume: gives block addresses to one backend.
//
// The disk (lib/scsi) has checked every range before. A range outside the store is a bug
// (asserted). The volume turns blocks into bytes. It does what a backend cannot do (FUA, zeroing),
// replicates patterns, and orders overlapping operations (fences.h). It lets no more than
// `queue_depth` operations to the backend at once, first come, first served; with a log, so many to
// each tier (tier.h). With an elevator (lib/backend/elevator.h), that one decides which goes to the
// store next. An operation that goes on as an orphan keeps its place among these, and its fence.
//
// Every operation names its Request (request.h) and reports to it where it is. After the request
// was stopped, the operation ends with cancelled before its next step, and nothing more of it
// reaches the backend.
//
// The LUN owns the volume. The backend outlives it, and the backend's owner closes it after shut().
// Only the driving thread of the backend's executor uses it. Buffers may have any alignment and
// segmentation. They are a whole number of blocks long, and stay valid until the operation ends. No
// operation allocates from the heap, except a scratch buffer on its first use, and the `out` of
// block_status().
//
// The logical block of a LUN is 512, 1024, 2048 or 4096 bytes, and a multiple of the backend's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/backend/elevator.h"
#include "lib/backend/store_register.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/semaphore.h"
#include "lib/co/task.h"
#include "lib/co/wait.h"
#include "lib/io/scratch.h"
#include "lib/io/sg.h"
#include "lib/volume/fences.h"
#include "lib/volume/flush_failures.h"
#include "lib/volume/request.h"
#include "lib/volume/tier.h"

namespace ballast::volume {

using backend::Fua;
using backend::MayUnmap;

struct VolumeConfig {
  Bytes logical_block{512};       // the LUN's, as READ CAPACITY reports it
  BlockCount capacity{};          // 0: all of the backend; at most what the backend has
  std::size_t queue_depth = 128;  // the most operations in a tier at once
  // Null: operations go to the store in the order in which they come. It outlives the volume, and
  // has queue_depth places.
  backend::Elevator* elevator = nullptr;
  std::uint64_t fence_seed = 1;  // see Fences; the plugin uses random numbers of the kernel
  // The store's, see FlushFailures. Null if no LUN uses the store after this volume.
  std::shared_ptr<backend::UnheardFlush> unheard_flush{};
};

// The result of a comparison.
struct Comparison {
  IoStatus status = IoStatus::ok;             // whether reading (and writing) worked
  std::optional<std::uint64_t> difference{};  // offset in bytes of the first different byte
  bool wrote = false;                         // the status is that of writing
};

class Volume {
 public:
  // How many bytes a zero or pattern write moves at once. Comparisons read ScratchPool::buffer_size
  // at once.
  static constexpr Bytes repeat_chunk{1024 * 1024};

  Volume(backend::Backend& backend, const VolumeConfig& config);
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;

  co::Executor& executor() { return executor_; }
  const backend::Geometry& geometry() const { return backend_.geometry(); }
  const backend::Capabilities& capabilities() const { return backend_.capabilities(); }
  Bytes logical_block() const { return Bytes{std::uint64_t{1} << block_shift_}; }
  // Does not change within one turn unless resize() is called.
  BlockCount capacity() const { return capacity_; }
  BlockCount blocks_in(Bytes bytes) const { return BlockCount{bytes.value() >> block_shift_}; }

  // The tier in which an operation would wait if it began now.
  bool has_log() const { return log_ != nullptr; }
  Tier tier_of(const Need& need) const { return volume::tier_of(log_, need); }

  co::Task<IoStatus> read(Request& request, Lba lba, io::SgView to);
  // With Fua::yes the data is durable when the write ends with ok. If the backend has a volatile
  // cache but no FUA, a flush follows the write.
  co::Task<IoStatus> write(Request& request, Lba lba, io::SgView from, Fua fua);
  // Makes blocks read as zeros. If the backend has no other way, it writes zeros in chunks.
  co::Task<IoStatus> zero(Request& request, Lba lba, BlockCount count, MayUnmap may_unmap);
  // Gives space back. Afterwards the blocks read as zeros only if capabilities().discard_zeroes.
  co::Task<IoStatus> unmap(Request& request, Lba lba, BlockCount count);
  // Writes `block` (exactly one logical block) to each block. A block of zeros becomes zero(); only
  // then may_unmap matters. Any other block is replicated. After an error any of the blocks may
  // have changed.
  co::Task<IoStatus> write_same(Request& request, Lba lba, BlockCount count, io::SgView block,
                                MayUnmap may_unmap);
  // When it ends with ok, everything that was acknowledged before it began is durable. It fails
  // once for an earlier flush whose failure is unheard (flush_failures.h). It also fails if a flush
  // failed since `since`: that is flush_mark() at the time when the change began that this flush
  // makes durable.
  co::Task<IoStatus> flush(Request& request) { return flush(request, flush_mark()); }
  co::Task<IoStatus> flush(Request& request, std::uint64_t since);
  std::uint64_t flush_mark() const { return flush_failures_.mark(); }
  // The same. Also makes everything durable that was under way when it began, acknowledged or not.
  co::Task<IoStatus> flush_all(Request& request);
  // Reads the blocks only to see whether they can be read.
  co::Task<IoStatus> verify(Request& request, Lba lba, BlockCount count);
  // Compares blocks with `expected`.
  co::Task<Comparison> compare(Request& request, Lba lba, io::SgView expected);
  // Compares each block with `block` (exactly one logical block). The offset of a difference is
  // from the first block compared.
  co::Task<Comparison> compare_same(Request& request, Lba lba, BlockCount count, io::SgView block);
  // Compares, and writes if nothing differs. No other change of these blocks comes in between.
  co::Task<Comparison> compare_and_write(Request& request, Lba lba, io::SgView expected,
                                         io::SgView data, Fua fua);
  // Appends the allocation state of the blocks from `lba` on: at most `limit` extents, in bytes.
  co::Task<IoStatus> block_status(Request& request, Lba lba, BlockCount count, std::size_t limit,
                                  std::vector<backend::Extent>* out);

  // Sets the capacity. If the store is too small, it is grown first. A larger store is left alone,
  // so that shrinking a LUN loses nothing. If it does not end with ok, it has not changed the
  // capacity. Only one resize at a time asks the store. A later resize overtakes earlier ones that
  // still wait or ask: these end with cancelled.
  co::Task<IoStatus> resize(BlockCount capacity);

  // From now on nothing reaches the backend. Operations end with cancelled instead, and a resize
  // that would grow the store with not_ready. Operations that were let through before may still
  // begin until the next turn of the run queue. So yield once between shut() and the backend's
  // close().
  void shut() { shut_ = true; }

  // Whether a read that began at `mark` (Request::read_mark) may have missed a change.
  bool changed_since(std::uint64_t mark, Lba lba, BlockCount count) const {
    return fences_.changed_since(mark, lba, count);
  }
  // For tests, see Fences::sabotage().
  void sabotage_fences() { fences_.sabotage(); }

 private:
  friend struct Anatomy;
  Bytes offset_of(Lba lba) const { return Bytes{lba.value() << block_shift_}; }
  Bytes bytes_of(BlockCount count) const { return Bytes{count.value() << block_shift_}; }
  // Checks against the store's size, not the capacity: a command may have been checked before the
  // LUN shrank.
  bool inside(Lba lba, BlockCount count) const {
    return fits(lba.value(), count.value(), blocks_in(geometry().size));
  }
  bool whole_blocks(io::SgView view) const {
    return (view.size() & (logical_block().value() - 1)) == 0;
  }
  // Whether nothing of the request may reach the backend any more.
  bool refuses(const Request& request) const { return shut_ || request.stopped(); }
  // Awaits `work`, which changes the range, once no other change holds the range.
  template <class Ending>
  co::Task<Ending> hold(Request& request, Lba lba, BlockCount count, co::Task<Ending> work);
  // Waits behind the holds that overlap. Returns false if the request was stopped.
  co::Task<bool> wait_for(Request& request, Fences::Hold& hold);
  // Awaited for a Place at the backend, first come, first served.
  class Admission final : public co::Semaphore::Waiter {
   public:
    Admission(Volume& volume, Request& request, Place::Kind kind, const Need& need, co::Site site)
        : Waiter{volume.admission_[volume.tier_of(need)], 1, co::Timers::never, request.token(),
                 site},
          volume_{volume},
          request_{request},
          kind_{kind},
          need_{need} {}
    Place await_resume();

   private:
    Volume& volume_;
    Request& request_;
    const Place::Kind kind_;
    const Need need_;
  };
  Admission admit(Request& request, Place::Kind kind, const Need& need,
                  co::Site site = co::Site::current()) {
    return Admission{*this, request, kind, need, site};
  }
  // Whether an operation that begins now is one at the store itself.
  bool goes_to_store(backend::Elevator::Kind kind, const Need& need) const;
  // Before admit(): waits for the elevator, if there is one and the operation goes to the store. If
  // the request is stopped meanwhile, the seat stays empty, and admit() gives no place either.
  co::Task<void> sit_down(Request& request, backend::Elevator::Seat& seat,
                          backend::Elevator::Kind kind, Need need, Bytes from, Bytes length);
  // Both for an operation without a coroutine of the volume. Returns an empty guard if it would
  // have to wait, or if the volume has a log. follow() gives the place back when the backend's task
  // ends.
  co::Semaphore::Guard admit_at_once(Request& request, backend::Elevator::Kind kind, Lba lba,
                                     BlockCount count);
  [[gnu::cold, gnu::noinline]] bool sit_down_at_once(Request& request, backend::Elevator::Kind kind,
                                                     Lba lba, BlockCount count);
  static co::Task<IoStatus> follow(Request& request, co::Task<IoStatus> task);
  co::Task<IoStatus> read_in_turn(Request& request, Lba lba, io::SgView to);
  // Grows the store to at least `size`. Returns cancelled if a later resize overtakes it.
  co::Task<IoStatus> grow(Bytes size, std::uint64_t turn);
  // Whether a write of this kind needs a flush after it to be durable.
  bool needs_flush(Fua fua) const {
    return fua == Fua::yes && !capabilities().fua && capabilities().volatile_cache;
  }
  // The FUA to pass to the backend.
  Fua native(Fua fua) const { return fua == Fua::yes && capabilities().fua ? Fua::yes : Fua::no; }
  // The caller holds the range. `once`: this is the write of a COMPARE AND WRITE.
  co::Task<IoStatus> write_held(Request& request, Bytes offset, io::SgView from, Fua fua,
                                bool once = false);
  co::Task<IoStatus> zero_held(Request& request, Bytes offset, Bytes length, MayUnmap may_unmap);
  co::Task<IoStatus> write_same_held(Request& request, Bytes offset, Bytes length,
                                     io::SgView block);
  co::Task<IoStatus> unmap_held(Request& request, Bytes offset, Bytes length);
  co::Task<Comparison> compare_and_write_held(Request& request, Lba lba, io::SgView expected,
                                              io::SgView data, Fua fua);
  // Writes `segment` again and again over `length` bytes.
  co::Task<IoStatus> write_repeated(Request& request, Bytes offset, Bytes length,
                                    std::span<std::byte> segment);
  // Reads the blocks piece by piece, and stops when differs(piece, offset in bytes) returns the
  // position of a difference in the piece.
  template <class Differs>
  co::Task<Comparison> read_through(Request& request, Lba lba, BlockCount count, Differs differs);

  backend::Backend& backend_;
  co::Executor& executor_;  // kept here because each coroutine of this class asks for it
  unsigned block_shift_;
  BlockCount capacity_;
  const backend::LogCoverage* const log_;
  backend::Elevator* const elevator_;
  PerTier<co::Semaphore> admission_;
  Fences fences_;
  FlushFailures flush_failures_;
  bool shut_ = false;
  std::uint64_t resizes_ = 0;  // requests so far
  bool resizing_ = false;      // a resize is asking the store
  co::Waker next_resize_{};    // of the resize that waits for that one
  // Apart, so that a change never waits for reads: with a write log before a frozen store only
  // these wait for the store.
  io::ScratchPool scratch_;   // for comparisons
  io::ScratchPool patterns_;  // for WRITE SAME
};

}  // namespace ballast::volume
