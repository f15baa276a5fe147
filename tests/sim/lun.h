// SPDX-License-Identifier: Apache-2.0
// Lun: the shipped LUN (lib/lun/lun.h) on the simulated executor and a simulated store. Its front
// end notes how each command was answered.
//
// send() hands a command to the LUN. The answer goes to the oracle and the monitor, and wakes the
// coroutine that waits. close() and reopen() do what a daemon does. A LUN that has departed lives
// on until its last operation has ended, and the next one on the same store waits for that. The
// test drives time through sim(). At the end finish() has the histories judged, and looks for
// things that were left behind. Everything that is wrong goes to verdict(). One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "lib/co/sim_executor.h"
#include "lib/co/task_group.h"
#include "lib/io/buffer_pool.h"
#include "lib/lun/lun.h"
#include "lib/scsi/task_set.h"
#include "tests/sim/issued.h"
#include "tests/sim/monitor.h"
#include "tests/sim/neighbour.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim_backend.h"
#include "tests/sim/sim_log.h"
#include "tests/sim/verdict.h"

namespace ballast::sim {

struct LunConfig {
  std::uint64_t seed = 1;
  std::uint32_t blocks = 64;
  backend::Capabilities capabilities{.discard = true,
                                     .discard_zeroes = true,
                                     .zero = true,
                                     .zero_unmaps = true,
                                     .fua = true,
                                     .volatile_cache = true,
                                     .exclusive = true};
  scsi::TaskSetLimits limits{};
  std::size_t queue_depth = 32;
  backend::ElevatorConfig elevator{};
  Engine engine = Engine::local;
  // With a write log before the store: the physical block of the log's disk, in bytes.
  std::optional<std::size_t> log_unit{};
  scsi::TaskSetSabotage sabotage{};
  StoreSabotage store_sabotage{};
  write_log::Sabotage log_sabotage{};
  bool trace = false;
};

// Counts of what LUNs did.
struct Tally {
  std::uint64_t orphaned = 0;
  std::uint64_t adoptions = 0;
  std::uint64_t held = 0;
  std::uint64_t stalls = 0;
  std::uint64_t shed = 0;
  void add(const lun::Lun& lun);
};

class Lun : public scsi::FrontEnd, public co::TickHook {
 public:
  explicit Lun(const LunConfig& config);
  ~Lun() override;
  Lun(const Lun&) = delete;
  Lun& operator=(const Lun&) = delete;

  co::SimExecutor& sim() { return sim_; }
  co::Executor& executor() { return sim_.executor(); }
  TimePoint now() { return executor().now(); }
  SimBackend& store() { return *store_; }
  Neighbour& neighbour() { return neighbour_; }
  SimLog* log() { return log_.get(); }  // null: there is none
  // Only after the LUN has taken a command.
  scsi::TaskSet& tasks() { return *lun_->task_set(); }
  Verdict& verdict() { return verdict_; }
  const Oracle& oracle() const { return oracle_; }
  std::uint32_t capacity() const;
  // The counts of all LUNs until now.
  Tally tally() const;
  const Monitor& monitor() const { return monitor_; }
  const LunConfig& config() const { return config_; }

  // The command lives as long as this. `waker` is woken at its answer, which may come within this
  // call.
  Issued& send(const Wish& wish, co::Waker waker = {});
  std::size_t commands() const { return issued_.size(); }
  std::size_t unanswered() const { return unanswered_.size(); }

  // Sends task management for the unanswered commands for which `meant` is true.
  void abort(const std::function<bool(const Issued&)>& meant);
  void set_limits(const scsi::TaskSetLimits& limits);
  // `stalled`: how many other LUNs of the process are stalled.
  void set_siblings(std::size_t stalled);
  // Grows or shrinks the LUN. The store may take its time.
  void resize(std::uint32_t blocks);

  // Whether the store is open, so that the LUN takes commands.
  bool ready() const { return lun_->volume() != nullptr; }

  // Tells the LUN that the daemon is about to end.
  void stop();
  bool stopping() const { return stopping_; }
  // Begins to close. The LUN departs soon; closed() becomes true when the store's operations have
  // ended. From now on commands are turned away.
  void close(Nanoseconds patience = {});
  bool closing() const { return closing_; }
  bool departed() const { return lun_->has_departed() && resizes_ == 0; }
  bool closed() const { return lun_->is_gone() && resizes_ == 0; }
  // Opens a new LUN on the same store, once the old one has departed. It is becoming ready until
  // the store is free and `wait` has passed.
  void reopen(Nanoseconds wait = {});

  // Takes all of the buffer pool except about `left` bytes, until it is called with ~0.
  void squeeze_buffers(std::size_t left);

  // Closes for good. It complains about commands without an answer, and about things that were left
  // behind: operations, buffers, coroutines, waits, timers. Nothing may be frozen. Call it once.
  void finish();

  void answer(scsi::Command& command, scsi::Status status) override;
  void tick_end() override;

 private:
  void open(Nanoseconds wait);
  void bury();
  void look_at_log();
  static co::Task<void> watch_closing(co::Executor& executor, Lun* self,
                                      std::weak_ptr<lun::Lun> closing, Nanoseconds patience);
  void resized(std::uint32_t blocks, bool done);
  void look_at_closing();
  void check_range(const Issued& command);
  void note_read(Issued& command);

  const LunConfig config_;
  Verdict verdict_;
  co::SimExecutor sim_;
  co::TaskGroup group_;
  co::Random random_;
  std::unique_ptr<io::BufferPool> buffers_;
  std::vector<io::Buffer> squeezed_;
  lun::CopyOffers copy_offers_;
  Neighbour neighbour_;
  std::unique_ptr<SimBackend> store_;
  std::optional<backend::Label> label_;  // of the store
  const std::unique_ptr<SimLog> log_;
  Oracle oracle_;
  Monitor monitor_;
  scsi::StalledLuns stalled_luns_;
  std::deque<scsi::StalledLuns::Place> siblings_;
  // Belongs to the store, so it outlives each opening.
  std::shared_ptr<backend::UnheardFlush> unheard_flush_ =
      std::make_shared<backend::UnheardFlush>(IoStatus::ok);
  std::shared_ptr<lun::Lun> lun_;
  std::vector<std::shared_ptr<lun::Lun>> departed_;
  Tally buried_;
  scsi::TaskSetLimits limits_;
  std::uint32_t blocks_;  // the LUN's capacity, for the next opening
  std::vector<std::unique_ptr<Issued>> issued_;
  std::vector<Issued*> unanswered_;  // in the order of arrival
  bool stopping_ = false;
  bool closing_ = false;
  bool turning_away_ = false;            // the front end answers, not the LUN
  unsigned resizes_ = 0;                 // resizes under way
  std::optional<TimePoint> idle_since_;  // the LUN is closing, and every command is answered
};

}  // namespace ballast::sim
