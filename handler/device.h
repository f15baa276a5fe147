// SPDX-License-Identifier: Apache-2.0
// Device: one LUN, from the daemon's callbacks to the backend. Wires executor, io_uring, buffers,
// backend, volume, disk, ring and loop, and lives from open() to close().
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
// the LUN's reactor thread. handle() never waits for storage longer than `linger_limit`: the
// daemon's pthread_cancel and join of the cmdproc thread wait for it.
//
// Bounds. At most `most_commands` at once; further ones are answered TASK SET FULL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "handler/gate.h"
#include "handler/ring.h"
#include "handler/ring_cursor.h"
#include "handler/tcmur_abi.h"
#include "lib/backend/backend.h"
#include "lib/base/config.h"
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
#include "lib/scsi/disk.h"
#include "lib/volume/volume.h"

namespace ballast::handler {

class Device {
 public:
  static constexpr std::size_t most_commands = 2048;
  // Commands collected before the first is started although more wait.
  static constexpr std::size_t most_plugged = 64;
  static constexpr Nanoseconds linger_limit = std::chrono::milliseconds{20};
  static constexpr Nanoseconds close_patience = std::chrono::seconds{5};
  // How often an idle ring is looked at for commands that the daemon threw away (RingCursor); they
  // are answered at the second look.
  static constexpr Nanoseconds sweep_interval = std::chrono::seconds{2};
  // How long a reconfiguration keeps the daemon's main thread, which serves all LUNs.
  static constexpr Nanoseconds resize_limit = std::chrono::seconds{10};

  // Everything about the LUN comes from `dev`, which outlives the Device. The error is one sentence
  // for the log; nothing is left behind.
  static Result<std::unique_ptr<Device>> open(abi::tcmu_device* dev);
  // After close().
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  co::Executor& executor() { return executor_; }
  const std::string& name() const { return name_; }

  // Takes the command over; it is answered later, or has been when this returns.
  void handle(abi::tcmulib_cmd* cmd);

  // Waits until every command is answered, then closes the backend and ends the threads. Commands
  // that the storage does not answer within close_patience are ended as far as the backend can end
  // them; what it cannot end is waited for, and logged, because until then it may write to the
  // ring's data area, which the daemon unmaps next.
  void close();

  // Both answer within resize_limit.
  Result<void> resize(Bytes size);
  Result<void> reconfigure(std::string_view daemon_string);

 private:
  struct Resize;
  // The commands of one turn, linked through hm_private, which the daemon does not read again.
  struct Plug {
    abi::tcmulib_cmd* first = nullptr;
    abi::tcmulib_cmd* last = nullptr;
    std::size_t count = 0;
  };

  Device(abi::tcmu_device* dev, std::string name, config::LunConfig config);
  Result<void> set_up();
  Result<void> open_ring();
  void read_unit_serial();
  void make_disk();

  void flush_plug(bool stay);
  void linger(const co::Message& batch);

  static void begin_batch(void* self, std::int64_t first_command);
  static void answer_thrown_away(void* self, std::int64_t cmd_id);
  static void begin_resize(void* self, std::int64_t request);
  static void begin_sweep(void* self, std::int64_t);
  static void begin_close(void* self, std::int64_t);
  void begin(abi::tcmulib_cmd* cmd);

  co::Task<void> serve(abi::tcmulib_cmd* cmd);
  co::Task<void> do_resize(std::shared_ptr<Resize> request);
  co::Task<void> sweep();
  co::Task<void> wait_for_commands();
  co::Task<void> close_backend();
  co::Task<void> report_slow_close();

  // Destroyed in reverse order: each outlives what stands below it.
  abi::tcmu_device* const dev_;
  const std::string name_;  // the backstore's, as targetcli shows it
  const config::LunConfig config_;
  const co::SteadyClock clock_;
  co::Executor executor_;
  std::unique_ptr<io::Uring> uring_;
  std::unique_ptr<io::BufferPool> buffers_;
  std::unique_ptr<io::HelperThread> helper_;
  std::unique_ptr<Gate> backend_;
  std::unique_ptr<volume::Volume> volume_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<scsi::Disk> disk_;  // made with the first command: see read_unit_serial
  std::unique_ptr<io::Loop> loop_;
  co::TaskGroup commands_;
  co::TaskGroup resizes_;
  co::TaskGroup closing_;
  co::Event leaving_;  // close() was called
  co::Event idle_;     // closing, and no command or resize is left
  co::Event closed_;

  // The cmdproc thread's.
  std::unique_ptr<RingCursor> cursor_;
  Plug plug_;
  bool serial_read_ = false;
  std::string unit_serial_;  // written before the first batch is handed over
};

}  // namespace ballast::handler
