// SPDX-License-Identifier: Apache-2.0
// Device: a LUN (lib/lun/lun.h) behind a device of the daemon. All that is specific to TCMU is
// here: the daemon's callbacks, the ring, the kernel's attributes, and the threads.
//
// Life. It lasts from open() to close(). If the storage hangs, close() lets go of the daemon's
// device and leaves a departed Device behind. The reactor thread drives it until its last operation
// has ended. These operations use memory of the Device, never the ring's. is_gone() says when it
// may be destroyed.
//
// Threads. The daemon calls open, close, resize and reconfigure on its main thread (or on the
// thread on which it closes devices), one at a time. The device's cmdproc thread calls handle().
// The daemon ends that thread before it calls close(), so handle() and close() never run at the
// same time. In tcmu-runner there is one exception, the recovery after tcmur_cmd_time_out, and
// check_config refuses that setting. Everything else runs on the executor, on the thread that holds
// the baton (lib/io/loop.h).
//
// A command's way. While the ring holds more commands, handle() only collects them (it plugs). The
// last command starts them all in one turn. Then the cmdproc thread lingers: it answers the
// commands that complete soon, in batches, with one doorbell for each batch. The LUN's reactor
// thread handles the commands that are still under way after that. handle() never waits for storage
// longer than twice `linger_limit`, because the daemon's pthread_cancel and join of the cmdproc
// thread wait for it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "handler/attributes.h"
#include "handler/group_reader.h"
#include "handler/lun_directory.h"
#include "handler/ring.h"
#include "handler/ring_cursor.h"
#include "handler/ring_watch.h"
#include "handler/serial_claim.h"
#include "handler/sweep.h"
#include "handler/tcmur_abi.h"
#include "lib/backend/factory.h"
#include "lib/base/line_limit.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/base/units.h"
#include "lib/co/clock.h"
#include "lib/co/event.h"
#include "lib/co/executor.h"
#include "lib/co/landmark.h"
#include "lib/co/task_group.h"
#include "lib/io/buffer_pool.h"
#include "lib/io/helper_thread.h"
#include "lib/io/loop.h"
#include "lib/io/uring.h"
#include "lib/lun/config.h"
#include "lib/lun/lun.h"
#include "lib/scsi/task_set.h"
#include "lib/watch/snapshot.h"
#include "lib/watch/stall.h"
#include "lib/watch/watchdog.h"

namespace ballast::handler {

class Device final : public scsi::FrontEnd, public ControlledLun, private Sweep::Host {
 public:
  // With so many commands collected, handle() starts them, even if more wait in the ring.
  static constexpr std::size_t most_plugged = 64;
  static constexpr Nanoseconds linger_limit = std::chrono::milliseconds{20};
  // How often the Device looks at the ring for task management (Sweep) while commands are under
  // way.
  static constexpr Nanoseconds notice_interval = std::chrono::milliseconds{100};
  // How often it looks at the ring when it is idle.
  static constexpr Nanoseconds sweep_interval = std::chrono::seconds{2};
  // How often it reads the backstore's attributes. It must poll them: nothing reports their
  // changes.
  static constexpr Nanoseconds attribute_interval = std::chrono::seconds{10};
  // The kernel logs an error each time that it refuses to set cmd_time_out.
  static constexpr Nanoseconds time_out_interval = std::chrono::minutes{10};
  // How long the LUN of a shared store waits for its target port groups before it answers INQUIRY.
  static constexpr Nanoseconds group_patience = std::chrono::seconds{2};
  // How long a reconfiguration may block the daemon's main thread, which serves all LUNs.
  static constexpr Nanoseconds reconfiguration_limit = std::chrono::seconds{10};

  // Takes everything about the LUN from `dev`, which outlives the Device. The error is one sentence
  // for the log, and open() then leaves nothing behind. `at_start`: the daemon is starting, see
  // StoreOrder. `patience`: how long open() waits for the store. If the store has not answered by
  // then, or failed in a way that may pass, the LUN is becoming ready; that is no error.
  static Result<std::unique_ptr<Device>> open(abi::tcmu_device* dev, bool at_start,
                                              Nanoseconds patience);
  // Destroy it only once is_gone() returns true, or after an open() that failed.
  ~Device() override;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  co::Executor& executor() { return executor_; }
  std::string name() const override { return name_; }

  // Takes `cmd` over. It is answered before this returns, or later.
  void handle(abi::tcmulib_cmd* cmd);
  // Called when the daemon answers this LUN's commands itself, on its own thread. From then on the
  // sweep does not touch the ring.
  void leave_ring_alone() { ring_left_alone_.store(true, std::memory_order_relaxed); }

  // Calls Lun::close() and waits for the LUN's departure. Returns true if the LUN is gone. Returns
  // false if the storage holds operations that it can neither finish nor end. Then the Device has
  // departed, and its owner keeps it until is_gone().
  bool close(Nanoseconds patience);
  // Any thread. Once it returns true, destroying the Device does not block.
  bool is_gone() const { return lun_->is_gone(); }

  // Both return within reconfiguration_limit.
  Result<void> resize(Bytes size);
  Result<void> reconfigure(std::string_view daemon_string);

  // For the owner's list of departed Devices.
  std::unique_ptr<Device> next_departed;

  std::optional<watch::StuckThread> stuck(Nanoseconds at_least) const override {
    return watched_->stuck(at_least);
  }
  bool snapshot(const watch::Lists& lists, watch::LunSnapshot* into, Nanoseconds patience) override;
  void move(bool here, std::function<void(Result<void>)> done) override;
  void write_log_back(bool lets_go, std::function<void(Result<watch::LunSnapshot>)> done) override;
  // Calls Lun::stop(), so that commands that would hold up close() are answered. The daemon waits
  // until a LUN's ring is empty before it calls close() for it.
  void daemon_stops() override;

 private:
  friend struct Anatomy;
  // A command, and the daemon's command that its answer goes to.
  struct Incoming : scsi::Command {
    abi::tcmulib_cmd* cmd = nullptr;
    Incoming* next_free = nullptr;
  };
  // The commands of one turn. They are linked through hm_private, which the daemon does not read
  // again.
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
  void offer_to_copies();

  void flush_plug(bool stay);
  void linger(const co::Message& batch, std::size_t commands);
  io::LingerEnd stay(const co::Message& batch, bool watches);
  void watch_ring();

  static bool command_waits(void* self);
  static void begin_batch(void* self, std::int64_t first_command);
  static void begin_waiting(void* self, std::int64_t source);
  static void begin_sweep(void* self, std::int64_t);
  static void begin_stop(void* self, std::int64_t);
  static void begin_close(void* self, std::int64_t patience);
  void begin(abi::tcmulib_cmd* cmd);
  void answer(scsi::Command& command, scsi::Status status) override;
  void stalled(const watch::CommandRecord& oldest) override { tell_stall(&oldest); }
  void recovered() override { tell_stall(nullptr); }
  void tell_stall(const watch::CommandRecord* oldest) noexcept;
  Incoming* take_incoming();
  void identify();
  bool take_groups();
  void ask_for_groups();
  void set_attributes();
  void look_at_attributes();
  void tell_cmd_time_out() const;
  co::Task<void> sweep_now_and_then();
  void look_around() noexcept;
  std::size_t unanswered() const override { return lun_->unanswered(); }
  bool daemon_is_asleep() const override;
  void answer_thrown_away(std::uint16_t cmd_id) override {
    ring_->answer_thrown_away(cmd_id, lun_->descriptor_sense());
  }
  void abort_named(const PassedOver& names, std::size_t named) override;
  void skip_to(std::uint32_t position) override { ring_->skip_to(position); }

  // Members are destroyed in reverse order, so each outlives those below it.
  abi::tcmu_device* const dev_;
  const std::string name_;                 // the backstore's name, as targetcli shows it
  std::optional<lun::Profiles> profiles_;  // as they were at its opening; main thread only
  const co::SteadyClock clock_;
  co::Executor executor_;
  std::unique_ptr<watch::Watchdog::Lun> watched_;
  std::unique_ptr<io::Uring> uring_;
  std::unique_ptr<io::BufferPool> buffers_;
  std::unique_ptr<io::HelperThread> helper_;
  std::size_t library_operations_ = 0;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Sweep> sweep_;  // uses cursor_ only until it is destroyed
  std::unique_ptr<Attributes> attributes_;
  TimePoint looked_at_attributes_{};
  std::optional<TimePoint> time_out_refused_;  // when the kernel last refused to set cmd_time_out
  UniqueFd wwn_folder_;                  // of the backstore in configfs; empty: nobody needs it
  std::unique_ptr<GroupReader> groups_;  // null unless the store is shared
  std::optional<TimePoint> asked_for_groups_;
  std::string group_problem_;  // as last logged
  int cmd_time_out_ = -1;      // seconds, as last read; 0: the kernel waits for ever; -1: not known
  std::unique_ptr<lun::Lun> lun_;
  std::unique_ptr<io::Loop> loop_;
  co::TaskGroup sweeps_;
  co::Event stirred_;  // commands came while the sweep rested, or close() was called
  bool closing_ = false;
  std::atomic<bool> ring_left_alone_{false};
  bool sweep_rests_ = false;
  std::vector<std::unique_ptr<Incoming[]>> incoming_;
  Incoming* free_incoming_ = nullptr;

  watch::StallBegin stall_;  // the last one's
  LineLimit abort_lines_;

  const co::Landmark landmark_;

  // Only the cmdproc thread uses these.
  std::unique_ptr<RingCursor> cursor_;
  std::unique_ptr<RingWatch> watch_;
  bool stale_event_ = false;  // commands were found whose event is still there, or comes soon
  Plug plug_;
  lun::Identity identity_;  // written before the first batch; the executor moves it out
  std::atomic<bool> identity_read_{false};
  SerialClaim serial_claim_;
};

}  // namespace ballast::handler
