// SPDX-License-Identifier: Apache-2.0
// WriteLog: changes of a LUN on a fast device of this machine, until a slow store has them.
//
// append() takes a change over. flush() makes durable what append() has taken over; it touches the
// log's device alone. The newest data of a block is in the log as long as covers() says so, and
// then the store's may be older. What the log has, the reaper writes to the store bit by bit. So
// the user of a LUN asks the log first, and reads from the store only what the log does not have:
//
//   while (lba < end) {
//     const Index::Piece piece = log.first_piece(lba, end - lba);
//     if (piece.in == Index::In::store) ... read it from the store
//     else status = co_await log.read(piece, to);   // in the same turn
//
// Its user keeps changes that overlap in order: each is appended after the one before it has ended.
// Nobody else writes to the store. A change whose append failed may have happened in part.
//
// All operations are coroutines on the executor of the device, which is the store's as well. Both
// outlive the log, and their owner closes them after it. Driving thread only. The log bounds its
// memory (see its parts), but for the index and the list of blocks, which grow with what is in the
// log (index.h, contents.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "lib/backend/backend.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/cancel.h"
#include "lib/co/gate.h"
#include "lib/co/task.h"
#include "lib/io/sg.h"
#include "lib/watch/log_view.h"
#include "lib/write_log/contents.h"
#include "lib/write_log/device.h"
#include "lib/write_log/pacer.h"
#include "lib/write_log/reader.h"
#include "lib/write_log/reaper.h"
#include "lib/write_log/ring.h"
#include "lib/write_log/sabotage.h"
#include "lib/write_log/scan.h"
#include "lib/write_log/superblocks.h"
#include "lib/write_log/writer.h"

namespace ballast::write_log {

class WriteLog {
 public:
  struct Options {
    Identity identity;
    std::string host{};
    std::string store_name{};
    Order order = Order::epoch;  // of writing back
    Sabotage sabotage{};
  };
  enum class State : std::uint8_t {
    working,
    // A write or a flush of the log's device failed. Nothing more goes into the log. What it has
    // can be read, and is written back.
    failing,
    // And the store has all of it. But the device may still have it as well, and even changes that
    // failed. If the log were opened again, they would come back over newer data in the store. So
    // whoever goes on without the log first makes sure that it cannot be opened.
    retired,
    // What the log has cannot be read. It stays there: the tail does not move any more.
    damaged,
  };

  // Opens a log that create() has made. The LUN may have been resized while the log was closed; but
  // the store must have room for all changes that are in the log. A refusal says what is wrong, and
  // nothing was changed. Else the log has a new incarnation, which is durable, and what was found
  // is durable.
  static co::Task<Result<std::unique_ptr<WriteLog>>> open(backend::Backend& device,
                                                          backend::Backend& store, Options options);
  ~WriteLog();
  WriteLog(const WriteLog&) = delete;
  WriteLog& operator=(const WriteLog&) = delete;

  co::Executor& executor() { return device_.executor(); }

  // Takes a change over. The data stays valid until this ends, and does not change. A change that
  // is longer than a block of the log, about 1 MiB, goes into several, and may be found in part
  // after the process or the power has failed. It waits while there is no room. When the log is
  // three quarters full and more, it waits for the store to keep up (pacer.h). When `cancel` is
  // requested, it ends with cancelled if nothing of the change was on its way to the device, and
  // with medium_error if a part was and the rest waited; otherwise it goes on.
  co::Task<IoStatus> append(Change change, Until until, co::CancelToken cancel = {}) {
    return writer_.append(change, until, cancel);
  }
  // Makes all changes durable that append() has taken over before this began.
  co::Task<IoStatus> flush() { return writer_.flush(); }

  // The LUN has this size now, a multiple of its block: when it ends with ok, the superblock says
  // so, durably. A LUN grows in this order: the store, durably; then this; then changes behind the
  // old end. A LUN that shrinks keeps its store as large as it was. So what the log has behind the
  // new end stays there, and is written back like everything else: if the LUN grows again, it has
  // what it had. Of two at once, the later one counts.
  co::Task<IoStatus> set_lun(Bytes size);

  // The part of a range that begins at `lba` and is in one place.
  Index::Piece first_piece(Lba lba, BlockCount blocks) const {
    return contents_.index().first_piece(lba, blocks);
  }
  // Reads a piece which first_piece() returned in this same turn, and which is not in the store.
  co::Task<IoStatus> read(Index::Piece piece, io::SgView to) { return reader_.read(piece, to); }

  // As volume::LogCoverage (lib/volume/tier.h) wants it.
  bool covers(Lba lba, BlockCount blocks) const { return contents_.index().covers(lba, blocks); }
  bool takes_changes() const { return state() == State::working && writer_.has_room(); }

  State state() const { return state_of(reaper_.is_stuck(), !ok(device_.failure()), empty()); }
  static State state_of(bool is_stuck, bool failed, bool empty) {
    if (is_stuck) {
      return State::damaged;
    }
    if (!failed) {
      return State::working;
    }
    return empty ? State::retired : State::failing;
  }
  // Called once, when the state is not `working` any more because the device failed.
  void on_failure(void (*call)(void* argument), void* argument) {
    device_.on_failure(call, argument);
  }
  // Whether the store has everything. (There may be a seal.)
  bool is_drained() const { return contents_.index().runs() == 0; }
  bool fits_batch() const { return ring_.used() <= segment_bytes; }  // of the reaper
  // How full it is, of 1000.
  std::uint64_t fullness() const { return ring_.used() * 1000 / ring_.bytes(); }
  std::uint64_t written() const { return writer_.written(); }  // the newest written block's number
  bool empty() const { return contents_.tail().sequence == contents_.end().sequence; }

  // Writes everything back that is there now, as fast as the store takes it. drain() waits for
  // that; it ends early, with a failure, only if the log does not work or is being closed.
  void hurry() { reaper_.hurry(); }
  co::Task<IoStatus> drain();
  // Until then append() is paced so that the log gets empty (pacer.h).
  void empty_until(TimePoint until) { pacer_.empty_until(until); }
  // How long the store needs for all that is there now. Nothing: it is not known how fast it is.
  std::optional<Nanoseconds> time_to_drain() const;

  // For people. The state is that of the log alone, and the device is left out.
  watch::LogView view() const;

  // Waits for all operations, which nobody may begin any more. What the log has stays there. The
  // last call.
  co::Task<void> close();

 private:
  friend struct Anatomy;
  WriteLog(backend::Backend& device, backend::Backend& store, const Options& options,
           const Superblock& superblock, Found found);
  co::Task<IoStatus> note_end();

  Device device_;
  Superblocks superblocks_;
  Superblock superblock_;
  Contents contents_;
  Ring ring_;
  Pacer pacer_;
  Writer writer_;
  Reader reader_;
  Reaper reaper_;
  co::Gate operations_;  // those of its own
  bool closed_ = true;
};

const char* to_string(WriteLog::State state);

}  // namespace ballast::write_log
