// SPDX-License-Identifier: Apache-2.0
// One LUN on the simulated executor: a store, a volume, a disk, a task set, and a front end that
// notes what each command was answered.
//
// send() hands a command to the task set; the answer goes to the oracle and the monitor, and wakes
// whoever waits. close() and reopen() are what a device does: shut, drained, and a new volume, disk
// and task set over the same store. The test drives time through sim(). When it is over, finish()
// has the histories judged and looks for what was left behind. Everything that is wrong lands in
// verdict(). One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "lib/co/sim_executor.h"
#include "lib/co/task_group.h"
#include "lib/io/buffer_pool.h"
#include "lib/scsi/disk.h"
#include "lib/scsi/task_set.h"
#include "lib/volume/volume.h"
#include "lib/watch/slow_log.h"
#include "tests/sim/issued.h"
#include "tests/sim/monitor.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim_backend.h"
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
  scsi::TaskSetSabotage sabotage{};
  bool trace = false;
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
  scsi::TaskSet& tasks() { return *tasks_; }
  volume::Volume& volume() { return *volume_; }
  Verdict& verdict() { return verdict_; }
  const Oracle& oracle() const { return oracle_; }
  std::uint32_t capacity() const { return static_cast<std::uint32_t>(volume_->capacity().value()); }
  const LunConfig& config() const { return config_; }

  // The command lives as long as the LUN. `waker` is woken when it is answered, within this call
  // perhaps.
  Issued& send(const Wish& wish, co::Waker waker = {});
  std::size_t commands() const { return issued_.size(); }
  std::size_t unanswered() const { return unanswered_.size(); }

  // Task management for the unanswered commands that are `meant`.
  void abort(const std::function<bool(const Issued&)>& meant);
  void set_limits(const scsi::TaskSetLimits& limits);
  // So many other LUNs of the process are stalled.
  void set_siblings(std::size_t stalled);
  // Grows or shrinks, when the store gets round to it.
  void resize(std::uint32_t blocks);

  // Begins to close; the store's operations decide when closed() becomes true. Then, and only then,
  // reopen().
  void close();
  bool closing() const { return closing_; }
  bool closed() const { return closed_ && !resizing_; }
  void reopen();

  // Takes all of the buffer pool but about `left` bytes, until it is called with ~0.
  void squeeze_buffers(std::size_t left);

  // Closes for good. Complains about commands without an answer, and about what was left behind:
  // operations, buffers, coroutines, waits, timers. Nothing may be frozen. Once.
  void finish();

  void answer(scsi::Command& command, scsi::Status status) override;
  void tick_end() override;

 private:
  void open();
  static co::Task<void> close_tasks(co::Executor& executor, Lun* lun);
  static co::Task<void> resize_volume(co::Executor& executor, Lun* lun, std::uint32_t blocks);
  void check_range(const Issued& command);
  void note_read(Issued& command);

  const LunConfig config_;
  Verdict verdict_;
  co::SimExecutor sim_;
  co::TaskGroup group_;
  co::Random random_;
  std::unique_ptr<io::BufferPool> buffers_;
  std::vector<io::Buffer> squeezed_;
  SimBackend* store_;  // inside backend_
  std::unique_ptr<backend::Backend> backend_;
  Oracle oracle_;
  Monitor monitor_;
  watch::SlowLog slow_log_;
  scsi::StalledLuns stalled_luns_;
  std::deque<scsi::StalledLuns::Place> siblings_;
  // The store's: it outlives each opening.
  std::shared_ptr<backend::UnheardFlush> unheard_flush_ =
      std::make_shared<backend::UnheardFlush>(IoStatus::ok);
  std::unique_ptr<volume::Volume> volume_;
  std::unique_ptr<scsi::Disk> disk_;
  std::unique_ptr<scsi::TaskSet> tasks_;
  scsi::TaskSetLimits limits_;
  std::uint32_t blocks_;  // the LUN's capacity, for the next opening
  std::uint64_t moment_ = 0;
  std::vector<std::unique_ptr<Issued>> issued_;
  std::vector<Issued*> unanswered_;  // in the order of coming
  bool closing_ = false;
  bool closed_ = false;
  bool resizing_ = false;
};

}  // namespace ballast::sim
