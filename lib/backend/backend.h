// SPDX-License-Identifier: Apache-2.0
// The contract of a backend: the place where the bytes of a LUN are stored.
//
// All operations are coroutines on the LUN's executor, and none of them blocks its thread: a call
// that can only block runs on a helper thread. Offsets and lengths are multiples of
// geometry().logical_block and lie within geometry().size. Buffers may have any alignment and any
// segment boundaries; the caller keeps them valid until the operation ends. Any number of
// operations may run at once, on overlapping ranges too. Two operations that overlap are ordered
// only if one ended before the other began. An operation that returned ok has happened as a whole.
// An operation that returned another status may have happened in part, unless the status says that
// nothing was done (lib/base/result.h). An operation on an empty range is ok and does nothing.
//
// `checked` (checked.h) wraps every backend and asserts what can be checked of this on both sides.
#pragma once

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/backend/label.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/cancel.h"
#include "lib/co/task.h"
#include "lib/io/sg.h"

namespace ballast::backend {

struct Geometry {
  Bytes size;                 // usable bytes, a multiple of logical_block
  Bytes logical_block;        // smallest unit of access: 512 to 4096, a power of two
  Bytes physical_block;       // smallest unit written without read-modify-write; >= logical_block
  Bytes discard_granularity;  // 0 if discard is not supported
  bool rotational = false;    // for the Block Device Characteristics VPD page
};

struct Capabilities {
  bool read_only = false;
  bool discard = false;         // discard() gives space back
  bool discard_zeroes = false;  // blocks always read as zeros after discard()
  bool zero = false;            // zero() works without moving data
  bool zero_unmaps = false;     // zero() with may_unmap gives space back
  bool fua = false;             // write() with fua is durable when it ends
  bool volatile_cache = true;  // a power failure may lose acknowledged writes that were not flushed
  bool write_through = false;  // the LUN begins with its write cache off (WCE 0)
  bool block_status = false;
  bool exclusive = false;  // we hold a lock, so no other program should be writing
  bool room = false;       // room() can tell
};

enum class Fua : bool { no, yes };       // yes: the data is durable when the operation ends
enum class MayUnmap : bool { no, yes };  // yes: zeroed blocks may become holes

// A run of blocks with one allocation state.
struct Extent {
  Bytes offset;
  Bytes length;
  bool allocated;
};

// What a store that allocates blocks as they are written has left for them.
struct Room {
  Bytes free;  // for all who share it, as the other files of a file system
  Bytes used;  // allocated for this store
};
// A task that returns a room ends with this when memory runs out (lib/co/task.h).
constexpr std::optional<Room> when_out_of_memory(const std::optional<Room>*) {
  return std::nullopt;
}

// How a backend is connected to a store on another machine.
struct Connection {
  const char* state = nullptr;  // "connected", "reconnecting", ...; null: there is no connection
  TimePoint since{};
};
class LogControl;
class LogCoverage;
class OpErrors;
class SharedStore;

class Backend {
 public:
  virtual ~Backend() = default;

  virtual co::Executor& executor() = 0;
  virtual const Geometry& geometry() const = 0;
  virtual const Capabilities& capabilities() const = 0;
  // For logs and `ballastctl list`: "file=/srv/vol0.raw".
  virtual std::string description() const = 0;
  // The part of a store that several machines may own in turn (shared_store.h). Null: it is
  // always ours. The backend owns it.
  virtual SharedStore* shared() { return nullptr; }
  // What a log in front of the store serves (log_coverage.h). Null: there is no log. The backend
  // owns it.
  virtual const LogCoverage* log_coverage() const { return nullptr; }
  // The same log for an operator (log_control.h).
  virtual LogControl* log_control() { return nullptr; }

  // For people, as the next two. Null: nobody counts.
  virtual const OpErrors* errors() const { return nullptr; }
  virtual Connection connection() const { return {}; }
  // What the operations at the store wait for, if the store's client knows: "osd.3, object
  // rbd_data.10af.ff, for 12.1 s". Empty if it does not, or not within `patience`.
  virtual co::Task<std::string> waits_for(Nanoseconds patience) {
    (void)patience;
    co_return std::string{};
  }

  // An operation that takes a cancel token tries to end early when cancellation is requested. It
  // ends with cancelled only if it certainly changed nothing and will change nothing, and with
  // medium_error if it made a part of its change. A backend that cannot end an operation lets it go
  // on. The token's source outlives the operation.
  virtual co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel = {}) = 0;
  // Fua::yes is allowed only if capabilities().fua.
  virtual co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua,
                                   co::CancelToken cancel = {}) = 0;
  // The same for the write of a COMPARE AND WRITE. A backend that repeats writes by itself, because
  // it lost the connection to its store, does not repeat this one: another client of the store may
  // have changed meanwhile what was compared. It ends with medium_error then.
  virtual co::Task<IoStatus> write_once(Bytes offset, io::SgView from, Fua fua,
                                        co::CancelToken cancel = {}) {
    return write(offset, from, fua, cancel);
  }
  // Makes [offset, offset + length) read as zeros. After not_supported the caller writes zeros
  // itself.
  virtual co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                                  co::CancelToken cancel = {}) = 0;
  // Gives space back where the store can. If capabilities().discard_zeroes, the whole range reads
  // as zeros afterwards; otherwise a block that was not given back keeps its data.
  virtual co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel = {}) = 0;
  // Every write that was acknowledged before flush() began is durable when flush() ends with ok.
  virtual co::Task<IoStatus> flush(co::CancelToken cancel = {}) = 0;
  // Appends extents that cover [offset, offset + length) from its beginning, in order and without
  // gaps: at least one, at most `limit`; they may end early. After a failure `out` is unchanged.
  virtual co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                          std::vector<Extent>* out) = 0;
  // Only if capabilities().room. Nothing: it could not be found out now.
  virtual co::Task<std::optional<Room>> room() { co_return std::nullopt; }
  // Grows or shrinks the backend to `size`, a multiple of logical_block. geometry() shows the new
  // size once this ended with ok.
  virtual co::Task<IoStatus> resize(Bytes size) = 0;
  // Puts a label on the store (label.h), or takes the one that is there away. When it ends well,
  // that is durable. ENOTSUP: such a store has no place for a label.
  virtual co::Task<Result<void>> write_label(std::optional<Label> label) {
    (void)label;
    co_return Error{ENOTSUP, description() +
                                 " has no place for the label of a write log: a file, "
                                 "a block device and an image in Ceph have one"};
  }
  // Waits for all running operations and releases the store. A caller that wants them to end early
  // cancels them first. Called once, as the last call: no operation may be started after it.
  virtual co::Task<void> close() = 0;
};

}  // namespace ballast::backend
