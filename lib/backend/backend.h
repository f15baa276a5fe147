// SPDX-License-Identifier: Apache-2.0
// The contract of a backend: where a LUN's bytes live.
//
// All operations are coroutines on the LUN's executor, and none of them blocks its thread: what the
// store offers only as a blocking call runs on a helper thread. Offsets and lengths are multiples
// of geometry().logical_block and lie within geometry().size; buffers may have any alignment and
// any segment boundaries, and stay valid until the operation ends. Any number of operations may run
// at once, on overlapping ranges too; between two that overlap nothing is ordered unless one ended
// before the other began. An operation that returned ok has happened as a whole; one that returned
// anything else may have happened in part, unless the status says that nothing was done
// (lib/base/result.h). An empty operation is ok and does nothing.
//
// `checked` (checked.h) wraps every backend and asserts all of this on both sides.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/cancel.h"
#include "lib/co/task.h"
#include "lib/io/sg.h"

namespace ballast::backend {

struct Geometry {
  Bytes size;            // usable bytes, a multiple of logical_block
  Bytes logical_block;   // smallest unit of access: 512 to 4096, a power of two
  Bytes physical_block;  // smallest unit written without read-modify-write below; >= logical_block
  Bytes discard_granularity;  // 0 where discard is not supported
  bool rotational = false;    // for the Block Device Characteristics VPD page
};

struct Capabilities {
  bool read_only = false;
  bool discard = false;         // discard() gives space back
  bool discard_zeroes = false;  // discarded blocks read as zeros, always
  bool zero = false;            // zero() without moving data
  bool zero_unmaps = false;     // zero() with may_unmap gives space back
  bool fua = false;             // write() with fua is durable by itself
  bool volatile_cache = true;   // without flush() acknowledged writes may be lost with the power
  bool block_status = false;
  bool exclusive = false;  // nobody else can be writing: we hold a lock
};

enum class Fua : bool { no, yes };       // durable when the operation ends
enum class MayUnmap : bool { no, yes };  // zeroed blocks may become holes

// A run of blocks with one allocation state.
struct Extent {
  Bytes offset;
  Bytes length;
  bool allocated;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual co::Executor& executor() = 0;
  virtual const Geometry& geometry() const = 0;
  virtual const Capabilities& capabilities() const = 0;
  // For logs and `ballastctl list`: "file=/srv/vol0.raw".
  virtual std::string description() const = 0;

  // Where an operation takes a cancel token it looks to it that the operation ends early when that
  // asks: with cancelled, if certainly nothing of it was done or will be, else as it would have. A
  // backend that cannot end an operation lets it go on. The token's source outlives the operation.
  virtual co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel = {}) = 0;
  // fua only if capabilities().fua.
  virtual co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua,
                                   co::CancelToken cancel = {}) = 0;
  // Makes [offset, offset + length) read as zeros. not_supported: the caller writes zeros.
  virtual co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                                  co::CancelToken cancel = {}) = 0;
  // Gives space back where it can; blocks it leaves read as before unless discard_zeroes.
  virtual co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel = {}) = 0;
  // Everything acknowledged before flush() began is durable when it ends with ok.
  virtual co::Task<IoStatus> flush(co::CancelToken cancel = {}) = 0;
  // Appends extents covering [offset, offset + length), at most `limit` of them, in order.
  virtual co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                          std::vector<Extent>* out) = 0;
  // Grows or shrinks; geometry() shows the new size once this ended with ok.
  virtual co::Task<IoStatus> resize(Bytes size) = 0;
  // Waits for all running operations (who wants them to end early has cancelled them), and releases
  // the store. Once, last; no operation may be started after it.
  virtual co::Task<void> close() = 0;
};

}  // namespace ballast::backend
