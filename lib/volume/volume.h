// SPDX-License-Identifier: Apache-2.0
// A LUN's blocks: the block-addressed face of one backend.
//
// The disk (lib/scsi) has judged every range before it gets here; a range outside the store is a
// bug and asserted. The volume turns blocks into bytes, keeps what a backend lacks (FUA, zeroing),
// replicates patterns, orders what overlaps (fences.h), and admits no more than `queue_depth`
// operations to the backend at once, first come, first served. An operation that goes on as an
// orphan keeps its place among them, and its fence.
//
// Every operation names the Request it belongs to (request.h): it reports there where it is, and
// ends with cancelled, before its next step, once the request was stopped. Then nothing more of it
// reaches the backend.
//
// Owned by the LUN; the backend outlives it and is closed by its owner, after shut(). Driving
// thread of the backend's executor only. Buffers have any alignment and segmentation, are a whole
// number of blocks long, and stay valid until the operation ends. Nothing here allocates from the
// heap per operation.
//
// The logical block of a LUN (512 or 4096) is a multiple of the backend's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/backend/store_register.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/semaphore.h"
#include "lib/co/task.h"
#include "lib/co/wait.h"
#include "lib/io/sg.h"
#include "lib/volume/fences.h"
#include "lib/volume/flush_failures.h"
#include "lib/volume/request.h"
#include "lib/volume/scratch.h"

namespace ballast::volume {

using backend::Fua;
using backend::MayUnmap;

struct VolumeConfig {
  Bytes logical_block{512};       // the LUN's, as INQUIRY and READ CAPACITY tell it
  BlockCount capacity{};          // 0: all of the backend; at most what the backend has
  std::size_t queue_depth = 128;  // operations at the backend at once
  std::uint64_t fence_seed = 1;   // see Fences: in production from the kernel's random numbers
  // The store's (FlushFailures); null: nobody has the store after this volume.
  std::shared_ptr<backend::UnheardFlush> unheard_flush{};
};

// What a comparison found.
struct Comparison {
  IoStatus status = IoStatus::ok;             // whether the blocks could be read (and written)
  std::optional<std::uint64_t> difference{};  // offset in bytes of the first byte that differs
};

class Volume {
 public:
  // How much a zero or pattern write moves at once. (Comparisons go by one scratch buffer.)
  static constexpr Bytes repeat_chunk{1024 * 1024};

  Volume(backend::Backend& backend, const VolumeConfig& config);
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;

  co::Executor& executor() { return executor_; }
  const backend::Geometry& geometry() const { return backend_.geometry(); }
  const backend::Capabilities& capabilities() const { return backend_.capabilities(); }
  Bytes logical_block() const { return Bytes{std::uint64_t{1} << block_shift_}; }
  // The same within one turn; resize() changes it at once.
  BlockCount capacity() const { return capacity_; }
  BlockCount blocks_in(Bytes bytes) const { return BlockCount{bytes.value() >> block_shift_}; }

  co::Task<IoStatus> read(Request& request, Lba lba, io::SgView to);
  // Durable when it ends, if asked: natively, or by a flush where the backend has no FUA.
  co::Task<IoStatus> write(Request& request, Lba lba, io::SgView from, Fua fua);
  // Makes blocks read as zeros, by writing zeros in chunks where the backend has no other way.
  co::Task<IoStatus> zero(Request& request, Lba lba, BlockCount count, MayUnmap may_unmap);
  // Gives space back. Blocks read as zeros afterwards only if capabilities().discard_zeroes.
  co::Task<IoStatus> unmap(Request& request, Lba lba, BlockCount count);
  // Writes `block` (exactly one logical block) to each block. All zeros become zero(), which alone
  // looks at may_unmap; anything else is replicated. After an error any of the blocks may have
  // changed.
  co::Task<IoStatus> write_same(Request& request, Lba lba, BlockCount count, io::SgView block,
                                MayUnmap may_unmap);
  // Everything acknowledged before it began is durable when it ends with ok. It fails once for a
  // failed one that nobody heard of (flush_failures.h); and if one has failed since flush_mark()
  // gave `since`, when the change began that this makes durable.
  co::Task<IoStatus> flush(Request& request) { return flush(request, flush_mark()); }
  co::Task<IoStatus> flush(Request& request, std::uint64_t since);
  std::uint64_t flush_mark() const { return flush_failures_.mark(); }
  // The same, and everything that was under way when it began, acknowledged or not, is durable.
  co::Task<IoStatus> flush_all(Request& request);
  // Reads the blocks and looks at nothing but whether they can be read.
  co::Task<IoStatus> verify(Request& request, Lba lba, BlockCount count);
  // Compares blocks with `expected`.
  co::Task<Comparison> compare(Request& request, Lba lba, io::SgView expected);
  // Compares each block with `block` (exactly one logical block); the offset is from the first
  // block compared.
  co::Task<Comparison> compare_same(Request& request, Lba lba, BlockCount count, io::SgView block);
  // Compares, and if nothing differs writes, with no other change of these blocks in between.
  co::Task<Comparison> compare_and_write(Request& request, Lba lba, io::SgView expected,
                                         io::SgView data, Fua fua);
  // Appends the allocation state of blocks from `lba` on, at most `limit` extents of bytes.
  co::Task<IoStatus> block_status(Request& request, Lba lba, BlockCount count, std::size_t limit,
                                  std::vector<backend::Extent>* out);

  // Sets the capacity. A store that is too small is grown first; one that is larger is left alone,
  // so that shrinking a LUN loses nothing. With any other result than ok the capacity is what it
  // was. One at a time asks the store; whoever is asked last wins: one that is overtaken ends with
  // cancelled, whenever it ends.
  co::Task<IoStatus> resize(BlockCount capacity);

  // From now on nothing reaches the backend: what would ends with cancelled, and a resize that
  // would grow the store with not_ready. What was let through before may begin until the next turn
  // of the run queue, so yield once between shut() and the backend's close().
  void shut() { shut_ = true; }

  // Whether a read that began at `mark` (Request::read_mark) may have missed a change.
  bool changed_since(std::uint64_t mark, Lba lba, BlockCount count) const {
    return fences_.changed_since(mark, lba, count);
  }
  // So that tests can see that they would notice.
  void sabotage_fences() { fences_.sabotage(); }

 private:
  Bytes offset_of(Lba lba) const { return Bytes{lba.value() << block_shift_}; }
  Bytes bytes_of(BlockCount count) const { return Bytes{count.value() << block_shift_}; }
  // Within the store, not the capacity: a command judged before the LUN shrank may still be under
  // way.
  bool inside(Lba lba, BlockCount count) const {
    return fits(lba.value(), count.value(), blocks_in(geometry().size));
  }
  bool whole_blocks(io::SgView view) const {
    return (view.size() & (logical_block().value() - 1)) == 0;
  }
  // Whether nothing of the request may reach the backend any more.
  bool refuses(const Request& request) const { return shut_ || request.stopped(); }
  // Does `work`, which changes the range, once the range is the request's alone.
  template <class Ending>
  co::Task<Ending> hold(Request& request, Lba lba, BlockCount count, co::Task<Ending> work);
  // Waits behind what overlaps; false if the request was stopped.
  co::Task<bool> wait_for(Request& request, Fences::Hold& hold);
  // The way to the backend, first come, first served.
  class Admission final : public co::Semaphore::Waiter {
   public:
    Admission(Volume& volume, Request& request, Place::Kind kind, co::Site site)
        : Waiter{volume.admission_, 1, co::Timers::never, request.token(), site},
          volume_{volume},
          request_{request},
          kind_{kind} {}
    Place await_resume();

   private:
    Volume& volume_;
    Request& request_;
    const Place::Kind kind_;
  };
  Admission admit(Request& request, Place::Kind kind, co::Site site = co::Site::current()) {
    return Admission{*this, request, kind, site};
  }
  // The same for an operation without a coroutine of ours: empty if it has to wait. `follow` sees
  // the backend's task to its end.
  co::Semaphore::Guard admit_at_once(const Request& request);
  static co::Task<IoStatus> follow(Request& request, co::Task<IoStatus> task);
  co::Task<IoStatus> read_in_turn(Request& request, Lba lba, io::SgView to);
  // The store grows to at least `size`, unless the resize is overtaken: cancelled.
  co::Task<IoStatus> grow(Bytes size, std::uint64_t turn);
  // Whether a write of this kind is durable only by a flush after it.
  bool needs_flush(Fua fua) const {
    return fua == Fua::yes && !capabilities().fua && capabilities().volatile_cache;
  }
  // Of the backend's own FUA.
  Fua native(Fua fua) const { return fua == Fua::yes && capabilities().fua ? Fua::yes : Fua::no; }
  // The callers hold the range. `once`: the write of a COMPARE AND WRITE.
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
  // Reads the blocks a piece at a time. differs(piece, offset in bytes) may find a difference in
  // it.
  template <class Differs>
  co::Task<Comparison> read_through(Request& request, Lba lba, BlockCount count, Differs differs);

  backend::Backend& backend_;
  co::Executor& executor_;  // asked for by each coroutine made here
  unsigned block_shift_;
  BlockCount capacity_;
  co::Semaphore admission_;
  Fences fences_;
  FlushFailures flush_failures_;
  bool shut_ = false;
  std::uint64_t resizes_ = 0;  // asked for so far
  bool resizing_ = false;      // the store is being asked
  co::Waker next_resize_{};    // of the one that waits for that
  ScratchPool scratch_;
};

}  // namespace ballast::volume
