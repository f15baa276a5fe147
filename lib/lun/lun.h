// SPDX-License-Identifier: Apache-2.0
// Lun: one logical unit, from the store to the task set, without the transport that brings its
// commands. It uses no tcmu-runner, no ring and no thread. Everything runs on the executor that it
// is given.
//
// Life. use() gives the LUN a store. wait_for() gives it a source that will have one; until then
// the LUN is "becoming ready". In this time it answers INQUIRY, and nearly everything else BUSY
// (Disk::answer_becoming_ready). If the store that was found is of no use, the LUN says so from
// then on (Disk::answer_refused). close() answers every command in bounded time. If the storage
// neither finishes nor ends an operation, the LUN departs all the same: it does not touch the front
// end any more. The rest of it stays, and the store stays locked, until the last operation has
// ended. is_gone() says when the LUN may be destroyed.
//
// Threads. Only the executor's driving thread calls it, except for is_gone(). Other threads ask
// with ask.h.
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
#include "lib/backend/elevator.h"
#include "lib/backend/shared_store.h"
#include "lib/backend/store_source.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/event.h"
#include "lib/co/executor.h"
#include "lib/co/landmark.h"
#include "lib/co/task_group.h"
#include "lib/io/buffer_pool.h"
#include "lib/lun/config.h"
#include "lib/lun/copy_offers.h"
#include "lib/lun/kept_modes.h"
#include "lib/lun/room_watch.h"
#include "lib/lun/store_wait.h"
#include "lib/scsi/disk.h"
#include "lib/scsi/stalled_luns.h"
#include "lib/scsi/task_set.h"
#include "lib/volume/volume.h"
#include "lib/watch/slow_log.h"
#include "lib/watch/snapshot.h"

namespace ballast::lun {

// The objects that a LUN runs on. All of them outlive the LUN.
struct Runtime {
  co::Executor& executor;
  io::BufferPool& buffers;          // for the data of all commands, orphans included
  scsi::StalledLuns& stalled_luns;  // one for the whole process
  // One for the whole process. Null: copies stay within their LUN.
  CopyOffers* copy_offers = nullptr;
};

struct LunSetup {
  std::string name;  // the backstore's name, as targetcli shows it
  LunConfig config;
  Bytes logical_block;  // 512 to 4096, a power of two
  BlockCount capacity;
  // See scsi::DiskConfig.
  std::uint32_t max_transfer_blocks = 0;
  std::uint32_t tolerated_transfer_blocks = 0;
  std::uint64_t fence_seed = 1;  // see volume::VolumeConfig
  scsi::TaskSetSabotage sabotage{};
  // Where modes are kept, and what was found there.
  KeptModes::Place modes_place{};
  std::optional<KeptModes::Values> modes{};
};

// A front end may learn these only later, for example with the first command. See scsi::DiskConfig.
struct Identity {
  std::string unit_serial;
  bool kernel_reserves = true;
};

class Lun final : private backend::AccessWatcher {
 public:
  // How long a closing LUN waits for its commands at most, and then how long for the backend to
  // close.
  static constexpr Nanoseconds close_patience = std::chrono::seconds{5};
  static constexpr Nanoseconds depart_patience = std::chrono::seconds{1};
  // How often a LUN that is becoming ready checks whether its store is open.
  static constexpr Nanoseconds look_interval = std::chrono::milliseconds{50};

  // `front_end` must live until the LUN has departed.
  Lun(const Runtime& runtime, LunSetup setup, scsi::FrontEnd& front_end);
  // Only if is_gone(), or if the LUN never had a store.
  virtual ~Lun();
  Lun(const Lun&) = delete;
  Lun& operator=(const Lun&) = delete;

  co::Executor& executor() { return executor_; }
  const std::string& name() const { return setup_.name; }
  const LunConfig& config() const { return setup_.config; }

  // --- open
  //
  // Call one of the two, once. The thread that opens the LUN may also call use() before the
  // executor is driven. If use() throws std::bad_alloc, the LUN has no store.
  void use(backend::Store store);
  void wait_for(std::unique_ptr<backend::StoreSource> source);
  // Call it once. Until then every command is answered BUSY.
  void identify(Identity identity) { identity_ = std::move(identity); }
  bool is_identified() const { return identity_.has_value(); }
  // Offers the LUN to the others of its copy_group, if it has one and its store is open. The first
  // command after that does it, too; but a LUN that has none may be copied from as well.
  // `unit_serial` counts only while the LUN is not identified. May throw std::bad_alloc.
  void offer_to_copies(std::string_view unit_serial);
  // The gateways of a shared store, at any time, and again when they have changed.
  void set_groups(scsi::TargetPortGroups groups);

  // --- serve
  //
  // Takes `command` over. It is answered before this returns, or later.
  void begin(scsi::Command& command);
  // See TaskSet::abort().
  std::size_t abort(const std::function<bool(const scsi::Command&)>& meant);
  std::size_t unanswered() const { return task_set_ == nullptr ? 0 : task_set_->unanswered(); }

  // --- change
  //
  // Each resize calls `done` once, possibly within resize().
  using Done = std::function<void(Result<void>)>;
  void resize(Bytes size, Done done);
  // Changes the limits and the elevator's rules at once. If any other setting differs, nothing
  // changes and it returns an error: then the LUN must be made anew.
  Result<void> reconfigure(const LunConfig& wanted);
  // Has this gateway take over a shared store (`here`), or give it back, because an operator asks
  // for it. Calls `done` once, within move_patience, possibly within move().
  static constexpr Nanoseconds move_patience = std::chrono::seconds{10};
  void move(bool here, Done done);
  // Has what the write log has written to the store, and the store let the log go, if that is
  // wanted. See backend::LogControl.
  Result<void> write_log_back(bool lets_go);
  // How long the front end waits for a command before it answers by itself; 0: without end.
  // Commands are answered by then, except those that the task set holds because they must not be
  // repeated.
  void set_longest_hold(Nanoseconds longest_hold);

  // --- look
  void describe(const watch::Lists& lists, watch::LunSnapshot* snapshot) const;
  // The same, but if the commands in flight are to be listed, and there are any, the backend is
  // asked first what they wait for, for `patience` at most. Calls `told` once, possibly within
  // inspect(). ENOMEM: there was no memory for it.
  using Inspected = std::function<void(Result<watch::LunSnapshot>)>;
  void inspect(const watch::Lists& lists, Nanoseconds patience, Inspected told);
  // D_SENSE: the format of the sense data of its answers.
  bool descriptor_sense() const { return disk_ != nullptr && disk_->modes().descriptor_sense(); }
  // Null while the LUN is becoming ready.
  scsi::TaskSet* task_set() { return task_set_.get(); }
  const volume::Volume* volume() const { return volume_.get(); }

  // --- close
  //
  // If the storage still hangs after close_patience, ends all commands as close() does, and answers
  // later ones BUSY. So LUNs that are told to stop together end at the same time, not one after the
  // other.
  void stop();
  // Begins to close, and returns at once. Commands have `patience` to be answered (close_patience
  // at most). Then the task set answers those that are left (TaskSet::shut). Call it once; no
  // command may begin after it.
  void close(Nanoseconds patience);
  // All commands are answered, and the backend is closed or has had depart_patience to close.
  bool has_departed() const { return departed_; }
  // The backend is closed and every task has ended. Any thread.
  bool is_gone() const { return gone_.load(std::memory_order_acquire); }

 private:
  friend struct Anatomy;
  // Stands for the LUN's disk while the LUN is becoming ready.
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
  co::Task<void> find_store();
  co::Task<bool> finish_store();
  co::Task<void> use_found();
  void start_using(backend::Store store);
  void refuse(std::string_view why);
  void refuse_with_its_reason();
  void make_task_set();
  static void start_room_watch(void* self, std::int64_t);
  void looked_at_room(bool threshold_reached);
  void expect();
  scsi::DiskConfig disk_config(const backend::Geometry& geometry) const;
  scsi::TaskSetLimits limits() const;

  [[gnu::cold]] void begin_not_ready(scsi::Command& command);

  void access_changed(bool expected) override;
  static void start_shared(void* self, std::int64_t);
  co::Task<void> do_move(bool here, std::shared_ptr<Done> done);
  Result<void> moved(bool here, backend::Move ended);

  co::Task<void> do_resize(Bytes size, std::shared_ptr<Done> done);
  void tell(const watch::Lists& lists, std::string waits_for, const Inspected& told) const;
  Result<void> resized(Bytes size, BlockCount blocks, IoStatus status);

  co::Task<void> stop_soon();
  co::Task<void> close_in_order(Nanoseconds patience);
  co::Task<void> end_in_order(Nanoseconds patience);
  co::Task<void> close_backend();
  co::Task<void> leave();

  // Members are destroyed in reverse order, so each outlives those below it.
  co::Executor& executor_;
  io::BufferPool& buffers_;
  scsi::StalledLuns& stalled_luns_;
  scsi::FrontEnd& front_end_;
  LunSetup setup_;
  std::string configuration_;  // as text, for reports; made early, as a core file must have it
  Nanoseconds longest_hold_{};
  const TimePoint opened_;
  std::optional<Identity> identity_;
  std::unique_ptr<backend::StoreSource> source_;  // while becoming ready
  std::unique_ptr<backend::Backend> backend_;
  std::string store_{"its store"};  // the backend's description, made early: log lines need it
  std::unique_ptr<backend::Elevator> elevator_;  // null: there is none
  std::unique_ptr<volume::Volume> volume_;
  watch::SlowLog slow_log_;
  StoreWait store_wait_;
  RoomWatch room_watch_;
  KeptModes kept_modes_;
  CopyReads copy_reads_;
  std::unique_ptr<scsi::Disk> disk_;
  std::unique_ptr<scsi::TaskSet> task_set_;
  std::unique_ptr<Expected> expected_;
  scsi::TargetPortGroups groups_;
  co::TaskGroup resizes_;
  co::TaskGroup moves_;
  co::TaskGroup closing_;
  co::Event leaving_;          // close() was called
  co::CancelSource no_store_;  // so the store is not wanted any more
  co::Event not_opening_;      // nobody waits for a store, or opens one
  co::Event closed_;           // the backend is closed and every task has ended
  co::Event ended_;            // every command is answered, and further ones are answered BUSY
  bool refused_ = false;       // the store was found, and is of no use
  bool ending_ = false;
  bool departed_ = false;
  std::atomic<bool> gone_{false};
  const co::Landmark landmark_;
};

}  // namespace ballast::lun
