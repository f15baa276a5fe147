// SPDX-License-Identifier: Apache-2.0
// SimBackend: a store that does everything that backend.h allows, the unpleasant things included.
//
// Bytes live in plain memory. Every operation takes a drawn time. On its way it lands block by
// block, at drawn moments between its start and its end, in any order relative to other operations.
// A write takes each block out of its caller's buffer at the moment when that block lands, and a
// read puts each block into it then, as hardware does. So it shows if a buffer is given away too
// early. An operation may get stuck, fail halfway, or be frozen by a rule until a thaw. It obeys a
// request to cancel only if its draw allows that and nothing of it has landed, and takes its time
// for that.
//
// The store may be on another machine (Engine, and sim_backend_loss.cpp). As an NBD server's client
// it does what lib/backend/nbd.h says when it loses the connection.
//
// The store keeps account of what a power cut would leave. Each landing on a block has a number,
// and durable() says which number is safe. With a volatile cache, a flush makes safe only the
// operations that had ended before it began, and of those that failed, what landed. Landings that a
// failed flush should have covered are lost, as in a kernel: no later flush makes them safe,
// although it ends well.
//
// One thread; times are the executor's. Wrap it in make_checked().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/backend/store_register.h"
#include "lib/co/cancel.h"
#include "lib/co/gate.h"
#include "lib/co/sim_executor.h"
#include "lib/co/task_group.h"
#include "tests/sim/content.h"
#include "tests/sim/store_watcher.h"
#include "tests/sim/verdict.h"

namespace ballast::sim {

inline constexpr std::uint32_t most_blocks = 96;  // the most that a store may ever have

enum class OpKind : std::uint8_t { read, write, zero, discard, flush };
constexpr bool changes(OpKind kind) {
  return kind == OpKind::write || kind == OpKind::zero || kind == OpKind::discard;
}

// The properties of a store from which each operation's behaviour is drawn. Chances are per mille.
struct Temper {
  Nanoseconds shortest{};  // shortest and longest: of each of the one to four waits of an operation
  Nanoseconds longest{};
  unsigned stuck = 0;  // one wait takes up to longest_stuck
  Nanoseconds longest_stuck{};
  unsigned medium_error = 0;  // perhaps after half of it has landed
  unsigned no_resource = 0;   // nothing is done
  unsigned cancellable = 1000;
  Nanoseconds longest_cancel{};  // the time that an operation takes to obey
};

// Selects the operations that a freeze holds: before, between or after their landings.
struct Freeze {
  bool reads = true;
  bool changes = true;
  bool flushes = true;
  std::uint32_t first = 0;  // first block; a flush is held whatever the range is
  std::uint32_t count = most_blocks;
  bool landed_only = false;  // holds only the answer, after the operation has landed
};

// Where the store is.
enum class Engine : std::uint8_t {
  local,  // it is always there
  nbd,    // on a server: the connection may be lost, and the server may restart
  owned,  // several machines own it in turn: another client may take it over
};

// Deliberate bugs of a store and its client, to check that the runs find them. All are false except
// in tests.
struct StoreSabotage {
  bool lands_after_fence = false;    // what was under way at a fence lands later all the same
  bool repeats_comparisons = false;  // the write of a COMPARE AND WRITE lands once more, later
  bool hides_lost_data = false;      // a flush that has lost data ends well
  bool loses_safe_data = false;      // a server that restarts loses what a flush made safe
  bool forgets_losses = false;       // so does a flush after a server may have lost data
  bool closes_silently = false;      // closing leaves data unflushed, and tells of no loss
  // A connection that was lost counts as over, although the server lets the next client in while it
  // works for the last one.
  bool trusts_shared_server = false;
};

class SimBackend final : public backend::Backend {
 public:
  struct Op {
    OpKind kind = OpKind::read;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    bool fua = false;
    TimePoint started{};
    TimePoint ended{};
    std::uint32_t data = 0;  // of a write: the data to which its first block belongs
    bool running = true;
    IoStatus status = IoStatus::ok;
    bool touches(std::uint32_t lba, std::uint32_t blocks) const {
      return kind != OpKind::flush && first < lba + blocks && lba < first + count;
    }
  };

  SimBackend(co::Executor& executor, std::uint64_t seed, std::uint32_t blocks,
             const backend::Capabilities& capabilities, Verdict& verdict);

  // Before the first operation. `unheard_flush` belongs to the store.
  void play(Engine engine, StoreWatcher& watcher,
            std::shared_ptr<backend::UnheardFlush> unheard_flush);

  // --- for the test ---
  void set_temper(const Temper& temper) { temper_ = temper; }
  void freeze(const Freeze& rule);
  // Ends all freezes and lets stuck operations go. Each operation then goes on after a wait of its
  // own, so they end in any order.
  void thaw();
  // Ends all freezes for operations that begin later. Operations that are frozen now wait for
  // release() or thaw().
  void keep_frozen();
  // Lets one frozen operation go at once, as a whole. `op`: its index in ops().
  void release(std::size_t op);

  // The connection to an NBD server is lost. What is under way is sent again. The write of a
  // COMPARE AND WRITE fails instead: it may have landed in part. If the store is exclusive, nothing
  // of the old connection lands any more. Otherwise what has not landed may do so at any time.
  void lose_connection();
  // The server restarts. It loses some of the landings that no flush has made safe, and what of old
  // connections has not landed yet; and the connection.
  void restart();
  // The store loses some of the landings that no flush has made safe, when nobody needs them.
  void lose_cache();
  // Whether the client knows that acknowledged data may be lost, so that each flush fails.
  bool flushes_fail() const { return !ok(flushes_end_); }
  // Whether a flush has to make something safe that was acknowledged.
  bool unflushed() const { return acknowledged_ != flushed_; }
  // Another client takes the store over. Everything ends with not_ready until the store is opened
  // again. What is under way may have landed in part, and lands no more.
  void fence();
  bool fenced() const { return fenced_; }
  void sabotage(const StoreSabotage& sabotage) { sabotage_ = sabotage; }

  // The store is in use from open() until close() has ended, by one LUN at a time.
  void open();
  bool in_use() const { return in_use_; }

  std::span<const Op> ops() const { return ops_; }  // all that ever began, in that order
  std::size_t running() const { return running_.size(); }
  // Indices in ops(), in the order of their starts.
  std::vector<std::size_t> running_numbers() const;
  TimePoint oldest_start() const;  // of the running operations; the largest time if there is none
  TimePoint oldest_read() const;   // the same, of reads
  // The same. But a flush that began in the moment when a write ended counts from that write's
  // start, because it may be the second half of a write with FUA.
  TimePoint oldest_work() const;

  Content content(std::uint32_t block) const;
  std::uint32_t durable(std::uint32_t block) const { return durable_[block]; }
  // The newest landing on a block by an operation that ended well.
  std::uint32_t completed(std::uint32_t block) const { return completed_[block]; }
  // A log is put before the store. If the flush before that failed, what the store has may be lost
  // without it: completed() of then.
  void get_log();
  std::uint32_t lost_before_log(std::uint32_t block) const { return lost_before_log_[block]; }
  // The newest acknowledged landing on a block that a failed flush, or a restart, lost.
  std::uint32_t lost(std::uint32_t block) const { return lost_[block]; }
  // Whether a flush, or a write with FUA, ever failed.
  bool has_failed_to_make_durable() const;
  // The first landing that brought this content; 0: there is none.
  std::uint32_t first_landing(std::uint32_t block, Content content) const;

  // --- backend::Backend ---
  co::Executor& executor() override { return executor_; }
  const backend::Geometry& geometry() const override { return geometry_; }
  const backend::Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return "simulated"; }
  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override;
  co::Task<IoStatus> write(Bytes offset, io::SgView from, backend::Fua fua,
                           co::CancelToken cancel) override;
  co::Task<IoStatus> write_once(Bytes offset, io::SgView from, backend::Fua fua,
                                co::CancelToken cancel) override;
  co::Task<IoStatus> zero(Bytes offset, Bytes length, backend::MayUnmap may_unmap,
                          co::CancelToken cancel) override;
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override;
  co::Task<IoStatus> flush(co::CancelToken cancel) override;
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<backend::Extent>* out) override;
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<void> close() override;

 private:
  using Numbers = std::array<std::uint32_t, most_blocks>;
  struct Landing {
    Content content;
    std::uint32_t number;
    bool lost = false;  // by a restart: it is nowhere any more
  };
  class Running;
  // A request that lands although its connection, or its client, is gone.
  struct Late {
    Op op;
    std::vector<std::byte> data;
    std::vector<std::uint32_t> blocks;  // indices in the operation
    bool allowed;                       // the store is as it is: no bug that a run must find
  };

  co::Task<IoStatus> start_write(Bytes offset, io::SgView from, backend::Fua fua,
                                 co::CancelToken cancel, bool once);
  co::Task<IoStatus> run(Op op, io::SgView data, co::CancelToken cancel, bool once = false);
  co::Task<void> end_connection();
  bool is_over(Running* running);
  IoStatus sabotaged(const Running& running);
  void note_client(const Running& running);
  void client_loses_connection();
  void tell_again(const Running& running, std::uint32_t block, Content now);
  void lose_landings();
  void lose_landings(std::uint32_t block, bool all);
  void haunt(const Running& running);
  void leave_behind(const Running& running);
  static co::Task<void> land_late(co::Executor& executor, SimBackend* store, Late late);
  co::Task<bool> pause(Running* running, co::CancelToken cancel);
  IoStatus finish(Running* running);
  void land(Running* running, std::size_t step);
  void land_block(Running* running, std::uint32_t index);
  bool frozen(const Running& running) const;
  Nanoseconds draw(Nanoseconds shortest, Nanoseconds longest);
  std::span<std::byte> memory_of(std::uint32_t block) {
    return std::span{memory_}.subspan(block * block_size, block_size);
  }

  co::Executor& executor_;
  co::Random random_;
  Verdict& verdict_;
  backend::Geometry geometry_;
  const backend::Capabilities capabilities_;
  Temper temper_;
  std::vector<Freeze> freezes_;
  std::vector<Op> ops_;
  std::vector<Running*> running_;  // in the order of their starts
  std::vector<std::byte> memory_;
  std::vector<std::vector<Landing>> landings_;  // by block
  Numbers durable_{};
  Numbers completed_{};
  Numbers lost_before_log_{};
  Numbers ended_{};  // as completed_, and by operations that failed, too
  Numbers lost_{};
  Numbers disturbed_{};  // when the store last changed a block on its own account
  std::uint32_t last_landing_ = 0;
  bool in_use_ = false;
  co::Gate at_work_;  // operations and resizes; it is never closed, because the store is opened
                      // again and again
  bool fenced_ = false;
  StoreSabotage sabotage_;

  Engine engine_ = Engine::local;
  StoreWatcher* watcher_ = nullptr;
  std::shared_ptr<backend::UnheardFlush> unheard_flush_;
  // As nbd.cpp has them.
  std::uint64_t acknowledged_ = 0;
  std::uint64_t flushed_ = 0;
  IoStatus flushes_end_ = IoStatus::ok;
  std::uint64_t lost_up_to_ = 0;
  std::uint64_t told_up_to_ = 0;
  bool left_word_ = false;  // a client that closed left word that data may be lost
  std::uint64_t restarts_ = 0;
  co::TaskGroup ghosts_;  // what lands late
};

}  // namespace ballast::sim
