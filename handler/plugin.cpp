// SPDX-License-Identifier: Apache-2.0
// The plugin as tcmu-runner sees it: handler_init, which is the only export, and the callbacks.
//
// Each callback first disables cancellation. The daemon cancels its cmdproc threads, and unwinding
// through these noexcept frames would end the process. No exception leaves a callback. Only
// std::bad_alloc can be thrown inside; the callback then fails.
#include <fmt/format.h>
#include <pthread.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "handler/configuration.h"
#include "handler/control.h"
#include "handler/daemon_log.h"
#include "handler/device.h"
#include "handler/store_order.h"
#include "handler/tcmur_abi.h"
#include "handler/watchdog.h"
#include "lib/backend/factory.h"
#include "lib/base/log.h"
#include "lib/base/log_writer.h"
#include "lib/base/never_destroyed.h"
#include "lib/base/shared_patience.h"
#include "lib/co/clock.h"
#include "lib/scsi/sense.h"
#include "lib/write_log/logged_source.h"

namespace ballast::handler {
namespace {

class NotCancellable {
 public:
  NotCancellable() { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NotCancellable() { ::pthread_setcancelstate(before_, nullptr); }
  NotCancellable(const NotCancellable&) = delete;
  NotCancellable& operator=(const NotCancellable&) = delete;

 private:
  int before_ = PTHREAD_CANCEL_ENABLE;
};

// LUNs that are closed, but whose storage still holds operations (Device::close). They are never
// destroyed when the daemon ends; they end with the process.
class Departed {
 public:
  static Departed& all() { return never_destroyed<Departed>(); }
  // Allocates nothing.
  void add(std::unique_ptr<Device> device) {
    const std::lock_guard lock{mutex_};
    device->next_departed = std::move(first_);
    first_ = std::move(device);
  }
  void bury() {
    const std::lock_guard lock{mutex_};
    std::unique_ptr<Device>* link = &first_;
    while (*link != nullptr) {
      if ((*link)->is_gone()) {
        *link = std::move((*link)->next_departed);
      } else {
        link = &(*link)->next_departed;
      }
    }
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<Device> first_;
};

Device* device_of(abi::tcmu_device* dev) {
  return static_cast<Device*>(abi::tcmur_dev_get_private(dev));
}

// The daemon's main thread serves all LUNs, and opens and closes them one after the other. So it
// must not wait long for any of them. At the daemon's start every failure is waited out in the
// background, so a long wait in open() gains nothing there.
constexpr Nanoseconds check_patience = std::chrono::seconds{2};
SharedPatience start_patience{std::chrono::seconds{1}, std::chrono::milliseconds{20}};
SharedPatience open_patience{std::chrono::seconds{5}, std::chrono::milliseconds{100}};
SharedPatience close_patience{lun::Lun::close_patience, std::chrono::milliseconds{300}};

TimePoint now() {
  return co::SteadyClock{}.now();
}

Result<void> check(const char* daemon_string) {
  // The daemon also calls this before it opens a LUN. For those LUNs nothing is checked here,
  // because open() looks at the string and the store anyway. open() can wait for the store as well,
  // which a LUN needs that exists already or comes out of a saved configuration. So only a request
  // of a user who is about to create a LUN is checked here.
  if (control_before_main_loop() || control_in_kernel_event()) {
    return {};
  }
  const Result<lun::LunConfig> config = new_configuration(daemon_string);
  if (!config) {
    return config.error();
  }
  const backend::StoreOrder order = store_order(config.value().store, "", Bytes{}, Bytes{}, false);
  return write_log::check_logged(order, config.value().log, check_patience);
}

bool check_config(const char* daemon_string, char** reason) noexcept {
  const NotCancellable guard;
  try {
    const Result<void> checked = check(daemon_string);
    if (checked) {
      return true;
    }
    *reason = ::strdup(checked.error().message.c_str());
  } catch (const std::bad_alloc&) {
    *reason = nullptr;  // the daemon then says "unknown"
  }
  return false;
}

int open_lun(abi::tcmu_device* dev, bool) noexcept {
  const NotCancellable guard;
  abi::tcmur_dev_set_private(dev, nullptr);
  Departed::all().bury();
  try {
    const bool at_start = control_before_main_loop();
    SharedPatience& patience = at_start ? start_patience : open_patience;
    Result<std::unique_ptr<Device>> device = Device::open(dev, at_start, patience.begin(now()));
    patience.end(now());
    if (!device) {
      log(LogLevel::error, "{}: cannot be opened: {}", abi::tcmu_dev_get_cfgstring(dev),
          device.error().message);
      return -device.error().errno_value;
    }
    control_add(*device.value());
    abi::tcmur_dev_set_private(dev, std::move(device).value().release());
    return 0;
  } catch (const std::bad_alloc&) {
    log_plain(LogLevel::error, "a LUN cannot be opened: out of memory");
    return -ENOMEM;
  }
}

void close_lun(abi::tcmu_device* dev) noexcept {
  const NotCancellable guard;
  std::unique_ptr<Device> device{device_of(dev)};
  abi::tcmur_dev_set_private(dev, nullptr);
  Departed::all().bury();
  if (device != nullptr) {
    control_remove(*device);
  }
  if (device == nullptr) {
    return;
  }
  const bool gone = device->close(close_patience.begin(now()));
  close_patience.end(now());
  if (!gone) {
    Departed::all().add(std::move(device));
  }
}

int reconfig_lun(abi::tcmu_device* dev, abi::tcmulib_cfg_info* change) noexcept {
  const NotCancellable guard;
  Device* const device = device_of(dev);
  if (device == nullptr) {
    return -ENODEV;
  }
  try {
    Result<void> done;
    switch (change->type) {
      case abi::TCMULIB_CFG_DEV_SIZE:
        done = device->resize(Bytes{change->data.dev_size});
        break;
      case abi::TCMULIB_CFG_DEV_CFGSTR:
        done = device->reconfigure(change->data.dev_cfgstring);
        break;
      case abi::TCMULIB_CFG_WRITE_CACHE:
        // The kernel's attribute is 0 unless somebody sets it, and restoring a saved configuration
        // always writes it. INQUIRY and the Caching page take the write cache from the backend, and
        // an initiator changes it with MODE SELECT. So the attribute is ignored.
        log(LogLevel::debug, "{}: emulate_write_cache={} has no meaning for this handler",
            device->name(), change->data.write_cache ? 1 : 0);
        break;
      default:
        return -EOPNOTSUPP;
    }
    if (!done) {
      log(LogLevel::error, "{}: {}", device->name(), done.error().message);
      return -done.error().errno_value;
    }
    return 0;
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  }
}

// If the daemon tracks a command, the daemon must complete it, because it must take the command off
// its list. The daemon completes it on this thread, without a lock. That is safe: the daemon tracks
// either all commands of a device or none, so this plugin answers no command of the device at the
// same time.
int refuse_tracked(Device* device, abi::tcmulib_cmd* cmd) {
  if (device != nullptr) {
    device->leave_ring_alone();
  }
  static bool said = false;
  if (!said) {
    said = true;
    log_plain(LogLevel::error,
              "commands are refused: tcmur_cmd_time_out is set, which cannot be used with ballast; "
              "take it out of the configuration string and create the backstore anew");
  }
  scsi::encode(scsi::Sense{.key = scsi::SenseKey::hardware_error,
                           .what = scsi::asc::internal_target_failure},
               false, cmd->sense_buf);
  return abi::TCMU_STS_PASSTHROUGH_ERR;
}

int handle_cmd(abi::tcmu_device* dev, abi::tcmur_cmd* unaligned) noexcept {
  const NotCancellable guard;
  // The struct may lie at any address, so copy the fields out.
  const auto* const bytes = reinterpret_cast<const std::byte*>(unaligned);
  abi::tcmulib_cmd* lib_cmd = nullptr;
  std::timespec start_time{};
  std::memcpy(static_cast<void*>(&lib_cmd), bytes + offsetof(abi::tcmur_cmd, lib_cmd),
              sizeof(abi::tcmulib_cmd*));
  std::memcpy(&start_time, bytes + offsetof(abi::tcmur_cmd, start_time), sizeof start_time);
  Device* const device = device_of(dev);
  if (start_time.tv_sec != 0) {
    return refuse_tracked(device, lib_cmd);
  }
  if (device == nullptr) {
    return abi::TCMU_STS_BUSY;
  }
  device->handle(lib_cmd);
  return abi::TCMU_STS_ASYNC_HANDLED;
}

// The daemon has closed its LUNs and is about to close its log.
void end_log() noexcept {
  const NotCancellable guard;
  end_log_writer(std::chrono::seconds{1});
}

// The text that targetcli shows for `/backstores/user:ballast help create`.
std::string describe_strings() {
  std::string kinds;
  for (const backend::Kind& kind : backend::kinds()) {
    kinds += fmt::format("{}{} ({})", kinds.empty() ? "" : ", ", kind.example, kind.help);
  }
  std::string keys;
  for (const lun::KeyText& key : lun::describe_keys()) {
    keys += fmt::format("{}{} ({}; {})", keys.empty() ? "" : ", ", key.name, key.values, key.usual);
  }
  return fmt::format(
      "Ballast keeps iSCSI LUNs usable when the storage behind them stops answering.\n"
      "cfgstring: {}; a path alone is a file. Then ;key=value as needed (values; default): {}. See "
      "ballast-config(5).\n",
      kinds, keys);
}

abi::tcmur_handler handler = [] {
  abi::tcmur_handler h{};
  h.name = "Ballast";
  h.subtype = "ballast";
  h.check_config = check_config;
  h.reconfig = reconfig_lun;
  h.open = open_lun;
  h.close = close_lun;
  h.handle_cmd = handle_cmd;
  h.destroy = end_log;
  // read, write and flush stay null and nr_threads stays 0: this makes the handler
  // passthrough-only.
  return h;
}();

}  // namespace
}  // namespace ballast::handler

extern "C" [[gnu::visibility("default")]] int handler_init() noexcept {
  if (!ballast::start_log_writer(&ballast::handler::log_to_daemon)) {
    ballast::log_plain(ballast::LogLevel::warning,
                       "cannot start the thread that writes the log: every thread that logs waits "
                       "for /var/log, which must not lie on storage that may freeze; raise "
                       "TasksMax of tcmu-runner.service and restart it");
  }
  static std::string strings;
  try {
    strings = ballast::handler::describe_strings();
  } catch (const std::bad_alloc&) {
    // The daemon works without the text.
  }
  ballast::handler::handler.cfg_desc = strings.c_str();
  ballast::handler::start_watchdog();
  ballast::handler::control_start();
  return ballast::handler::abi::tcmur_register_handler(&ballast::handler::handler);
}
