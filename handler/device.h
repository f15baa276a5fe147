// SPDX-License-Identifier: Apache-2.0
// Device: a LUN (lib/lun/lun.h) behind a device of the daemon. What TCMU alone knows is here: the
// daemon's callbacks, the ring, the kernel's attributes, and the threads.
//
// Life. From open() to close(). Where the storage hangs, close() lets go of the daemon's device and
// leaves the rest behind: a departed Device, which its reactor thread drives until the last
// operation has ended. Its operations use memory of its own, never the ring's. is_gone() says when
// it may be destroyed.
//
// Threads. open, close, resize and reconfigure: the daemon's main thread (or the thread that it
// closes on), one at a time. handle(): the device's cmdproc thread. The daemon ends that thread
// before it calls close(), so the two never run at once; the one way around it in tcmu-runner,
// recovery after tcmur_cmd_time_out, is refused in check_config. Everything else runs on the
// executor, on whichever thread holds the baton (lib/io/loop.h).
//
// A command's way. handle() plugs: while the ring holds more commands it only collects, and the
// last one starts them all in one turn, then lingers, so that what completes soon is answered on
// this thread, in batches, with one doorbell each. What is still under way after that belongs to
// the LUN's reactor thread. handle() never waits for storage longer than twice
// `linger_limit`: the daemon's pthread_cancel and join of the cmdproc thread wait for it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "handler/attributes.h"
#include "handler/lun_directory.h"
#include "handler/ring.h"
#include "handler/ring_cursor.h"
#include "handler/serial_claim.h"
#include "handler/sweep.h"
#include "handler/tcmur_abi.h"
#include "lib/backend/factory.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/clock.h"
#include "lib/co/event.h"
#include "lib/co/executor.h"
#include "lib/co/task_group.h"
#include "lib/io/buffer_pool.h"
#include "lib/io/helper_thread.h"
#include "lib/io/loop.h"
#include "lib/io/uring.h"
#include "lib/lun/config.h"
#include "lib/lun/lun.h"
#include "lib/scsi/task_set.h"
#include "lib/watch/snapshot.h"

namespace ballast::handler {

class Device final : public scsi::FrontEnd, public ControlledLun, private Sweep::Host {
 public:
  // Commands collected before the first is started although more wait.
  static constexpr std::size_t most_plugged = 64;
  static constexpr Nanoseconds linger_limit = std::chrono::milliseconds{20};
  // How often the ring is looked at for task management (Sweep) while commands are under way.
  static constexpr Nanoseconds notice_interval = std::chrono::milliseconds{100};
  // How often it is looked at when idle.
  static constexpr Nanoseconds sweep_interval = std::chrono::seconds{2};
  // How often the backstore's attributes are looked at, because nobody says that they have changed.
  static constexpr Nanoseconds attribute_interval = std::chrono::seconds{10};
  // How long a reconfiguration keeps the daemon's main thread, which serves all LUNs.
  static constexpr Nanoseconds reconfiguration_limit = std::chrono::seconds{10};

  // Everything about the LUN comes from `dev`, which outlives the Device. The error is one sentence
  // for the log; nothing is left behind. `at_start`: the daemon is starting, see StoreOrder.
  // `patience`: how long the store is waited for; then, and after a failure that may pass, the LUN
  // is becoming ready, and that is no error.
  static Result<std::unique_ptr<Device>> open(abi::tcmu_device* dev, bool at_start,
                                              Nanoseconds patience);
  // Once gone.
  ~Device() override;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  co::Executor& executor() { return executor_; }
  std::string name() const override { return name_; }

  // Takes the command over; it is answered later, or has been when this returns.
  void handle(abi::tcmulib_cmd* cmd);
  // The daemon answers this LUN's commands itself, on its own thread: the ring is left alone.
  void leave_ring_alone() { ring_left_alone_.store(true, std::memory_order_relaxed); }

  // Lun::close(), and waits for its departure. True if the LUN is gone. False: the storage holds
  // operations that it can neither finish nor end; the Device has departed, and its owner keeps it
  // until is_gone().
  bool close(Nanoseconds patience);
  // Any thread. Destroying the Device then does not block.
  bool is_gone() const { return lun_->is_gone(); }

  // Both answer within reconfiguration_limit.
  Result<void> resize(Bytes size);
  Result<void> reconfigure(std::string_view daemon_string);

  // Its owner's, once it has departed.
  std::unique_ptr<Device> next_departed;

  bool snapshot(const watch::Lists& lists, watch::LunSnapshot* into, Nanoseconds patience) override;
  // Lun::stop(): what close() waits for is over then. The daemon waits for each ring to be empty
  // before it closes the LUN.
  void daemon_stops() override;

 private:
  // A command and where its answer goes.
  struct Incoming : scsi::Command {
    abi::tcmulib_cmd* cmd = nullptr;
    Incoming* next_free = nullptr;
  };
  // The commands of one turn, linked through hm_private, which the daemon does not read again.
  struct Plug {
    abi::tcmulib_cmd* first = nullptr;
    abi::tcmulib_cmd* last = nullptr;
    std::size_t count = 0;
  };

  Device(abi::tcmu_device* dev, std::string name);
  Result<void> set_up(const lun::LunConfig& config, bool at_start, Nanoseconds patience);
  Result<void> check_geometry() const;
  Result<void> open_machinery(const lun::LunConfig& config);
  Result<void> open_ring();
  void make_lun(const lun::LunConfig& config);
  Result<void> open_store(bool at_start, Nanoseconds patience);
  backend::OpenContext open_context();
  void read_identity();

  void flush_plug(bool stay);
  void linger(const co::Message& batch);

  static void begin_batch(void* self, std::int64_t first_command);
  static void begin_waiting(void* self, std::int64_t source);
  static void begin_sweep(void* self, std::int64_t);
  static void begin_stop(void* self, std::int64_t);
  static void begin_close(void* self, std::int64_t patience);
  void begin(abi::tcmulib_cmd* cmd);
  void answer(scsi::Command& command, scsi::Status status) override;
  Incoming* take_incoming();
  void set_attributes();
  void look_at_attributes();
  void tell_cmd_time_out() const;
  co::Task<void> sweep_now_and_then();
  std::size_t unanswered() const override { return lun_->unanswered(); }
  bool daemon_is_asleep() const override;
  void answer_thrown_away(std::uint16_t cmd_id) override { ring_->answer_thrown_away(cmd_id); }
  void abort_named(const PassedOver& names, std::size_t named) override;
  void skip_to(std::uint32_t position) override { ring_->skip_to(position); }

  // Destroyed in reverse order: each outlives what stands below it.
  abi::tcmu_device* const dev_;
  const std::string name_;  // the backstore's, as targetcli shows it
  const co::SteadyClock clock_;
  co::Executor executor_;
  std::unique_ptr<io::Uring> uring_;
  std::unique_ptr<io::BufferPool> buffers_;
  std::unique_ptr<io::HelperThread> helper_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Sweep> sweep_;  // asks cursor_ only while it lives
  std::unique_ptr<Attributes> attributes_;
  TimePoint looked_at_attributes_{};
  int cmd_time_out_ = -1;  // seconds, as last seen; 0: the kernel waits for ever
  std::unique_ptr<lun::Lun> lun_;
  std::unique_ptr<io::Loop> loop_;
  co::TaskGroup sweeps_;
  co::Event stirred_;  // commands have come while the sweep rests, or close() was called
  bool closing_ = false;
  std::atomic<bool> ring_left_alone_{false};
  bool sweep_rests_ = false;
  std::vector<std::unique_ptr<Incoming[]>> incoming_;
  Incoming* free_incoming_ = nullptr;

  // The cmdproc thread's.
  std::unique_ptr<RingCursor> cursor_;
  Plug plug_;
  lun::Identity identity_;  // written before the first batch is handed over, and moved from then
  std::atomic<bool> identity_read_{false};
  SerialClaim serial_claim_;
};

}  // namespace ballast::handler
