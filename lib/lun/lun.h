// SPDX-License-Identifier: Apache-2.0
// Lun: one logical unit, from the store to the task set, without the transport that brings its
// commands. It knows no tcmu-runner, no ring and no thread: all runs on the executor that it is
// given.
//
// Life. use() gives it a store, or wait_for() a source that will have one: the LUN is "becoming
// ready" until then. It is there, says who it is and otherwise BUSY. close() answers every command
// in bounded time. Where the storage neither finishes nor ends an operation the LUN has departed
// all the same: nothing of the front end is touched any more, and the rest lives on, with the store
// locked, until the last operation has ended. is_gone() says when it may be destroyed.
//
// Threads. The executor's driving thread, but for is_gone(). Other threads ask (ask.h).
//
// Bounds. Those of the task set (lib/scsi/task_set.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lib/backend/backend.h"
#include "lib/backend/store_source.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/event.h"
#include "lib/co/executor.h"
#include "lib/co/task_group.h"
#include "lib/io/buffer_pool.h"
#include "lib/lun/config.h"
#include "lib/scsi/disk.h"
#include "lib/scsi/stalled_luns.h"
#include "lib/scsi/task_set.h"
#include "lib/volume/volume.h"
#include "lib/watch/slow_log.h"
#include "lib/watch/snapshot.h"

namespace ballast::lun {

// What a LUN runs on; all of it outlives the LUN.
struct Runtime {
  co::Executor& executor;
  io::BufferPool& buffers;          // for the data of all commands, orphans included
  scsi::StalledLuns& stalled_luns;  // the process'
};

struct LunSetup {
  std::string name;  // the backstore's, as targetcli shows it
  LunConfig config;
  Bytes logical_block;  // 512 to 4096, a power of two
  BlockCount capacity;
  // As in scsi::DiskConfig.
  std::uint32_t max_transfer_blocks = 0;
  std::uint32_t tolerated_transfer_blocks = 0;
  std::uint64_t fence_seed = 1;  // as in volume::VolumeConfig
  scsi::TaskSetSabotage sabotage{};
};

// What a front end may learn late, with the first command perhaps. As in scsi::DiskConfig.
struct Identity {
  std::string unit_serial;
  bool kernel_reserves = true;
};

class Lun final {
 public:
  // How long a closing LUN waits for its commands at most, and then for the backend to close.
  static constexpr Nanoseconds close_patience = std::chrono::seconds{5};
  static constexpr Nanoseconds depart_patience = std::chrono::seconds{1};
  // How often a LUN that is becoming ready looks whether its store is open.
  static constexpr Nanoseconds look_interval = std::chrono::milliseconds{50};

  // `front_end` outlives the LUN's departure.
  Lun(const Runtime& runtime, LunSetup setup, scsi::FrontEnd& front_end);
  // Once gone, or without a store.
  ~Lun();
  Lun(const Lun&) = delete;
  Lun& operator=(const Lun&) = delete;

  co::Executor& executor() { return executor_; }
  const std::string& name() const { return setup_.name; }
  const LunConfig& config() const { return setup_.config; }

  // --- open. One of the two, once. use() also before the executor is driven, by whoever opens the
  // LUN; it may throw std::bad_alloc, and the LUN has no store then.
  void use(backend::Store store);
  void wait_for(std::unique_ptr<backend::StoreSource> source);
  // Once. Until then every command is answered BUSY.
  void identify(Identity identity) { identity_ = std::move(identity); }
  bool is_identified() const { return identity_.has_value(); }

  // --- serve. Takes `command` over; it has been answered when this returns, or will be.
  void begin(scsi::Command& command);
  // As TaskSet::abort().
  std::size_t abort(const std::function<bool(const scsi::Command&)>& meant);
  std::size_t unanswered() const { return task_set_ == nullptr ? 0 : task_set_->unanswered(); }

  // --- change. `done` is called once, within this call perhaps.
  using Done = std::function<void(Result<void>)>;
  void resize(Bytes size, Done done);
  // The limits change at once; for the rest the LUN must be made anew.
  Result<void> reconfigure(const LunConfig& wanted);
  // The front end's own patience with a command: every one is answered by then. 0: it has no end.
  void set_longest_hold(Nanoseconds longest_hold);

  // --- look
  void describe(const watch::Lists& lists, watch::LunSnapshot* snapshot) const;
  // Null: becoming ready.
  scsi::TaskSet* task_set() { return task_set_.get(); }
  const volume::Volume* volume() const { return volume_.get(); }

  // --- close. Where the storage hangs still after close_patience, all commands end as in close(),
  // and further ones are answered BUSY: LUNs that are told so together end side by side.
  void stop();
  // Waits until every command is answered, no longer than `patience` (close_patience at most) and a
  // moment: then those that are left are answered BUSY. Once; no command may begin after it.
  void close(Nanoseconds patience);
  // All is answered, and the backend is closed, or holds operations that it can neither finish nor
  // end.
  bool has_departed() const { return departed_; }
  // The backend is closed, every task has ended. Any thread.
  bool is_gone() const { return gone_.load(std::memory_order_acquire); }

 private:
  // What the LUN is taken for while it is becoming ready.
  struct Expected {
    Expected(std::unique_ptr<backend::Backend> store, Bytes logical_block, scsi::DiskConfig config)
        : absent{std::move(store)},
          volume{*absent, volume::VolumeConfig{.logical_block = logical_block}},
          disk{volume, std::move(config)} {}
    std::unique_ptr<backend::Backend> absent;
    volume::Volume volume;
    scsi::Disk disk;
  };

  co::Task<void> become_ready();
  void use_found();
  void make_task_set();
  void expect();
  scsi::DiskConfig disk_config(const backend::Geometry& geometry) const;
  scsi::TaskSetLimits limits() const;

  [[gnu::cold]] void begin_not_ready(scsi::Command& command);

  co::Task<void> do_resize(Bytes size, std::shared_ptr<Done> done);
  Result<void> resized(Bytes size, BlockCount blocks, IoStatus status);

  co::Task<void> stop_soon();
  co::Task<void> close_in_order(Nanoseconds patience);
  co::Task<void> end_in_order(Nanoseconds patience);
  co::Task<void> close_backend();
  co::Task<void> leave();

  // Destroyed in reverse order: each outlives what stands below it.
  co::Executor& executor_;
  io::BufferPool& buffers_;
  scsi::StalledLuns& stalled_luns_;
  scsi::FrontEnd& front_end_;
  LunSetup setup_;
  Nanoseconds longest_hold_{};
  const TimePoint opened_;
  std::optional<Identity> identity_;
  std::unique_ptr<backend::StoreSource> source_;  // while becoming ready
  std::unique_ptr<backend::Backend> backend_;
  std::string store_{"its store"};  // the backend, described, for what must not fail
  std::unique_ptr<volume::Volume> volume_;
  watch::SlowLog slow_log_;
  std::unique_ptr<scsi::Disk> disk_;
  std::unique_ptr<scsi::TaskSet> task_set_;
  std::unique_ptr<Expected> expected_;
  co::TaskGroup resizes_;
  co::TaskGroup closing_;
  co::Event leaving_;  // close() was called
  co::Event closed_;   // the backend is closed and every task has ended
  co::Event ended_;    // every command is answered, further ones are answered BUSY
  bool ending_ = false;
  bool departed_ = false;
  std::atomic<bool> gone_{false};
};

}  // namespace ballast::lun
