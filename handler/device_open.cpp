// SPDX-License-Identifier: Apache-2.0
// Makes a LUN that takes commands out of a device of the daemon.
#include "handler/device.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include "handler/anatomy.h"
#include "handler/configuration.h"
#include "handler/lun_name.h"
#include "handler/store_order.h"
#include "handler/watchdog.h"
#include "lib/backend/factory.h"
#include "lib/base/log.h"
#include "lib/base/never_destroyed.h"
#include "lib/write_log/logged_source.h"

namespace ballast::handler {
namespace {

// Room for the data of all commands of one LUN, orphans included. It is mapped, and takes memory
// only where it is used.
constexpr Bytes data_limit{std::uint64_t{64} << 20};

lun::CopyOffers& copy_offers() {
  return never_destroyed<lun::CopyOffers>();
}

scsi::StalledLuns& stalled_luns() {
  return never_destroyed<scsi::StalledLuns>();
}

// In logical blocks.
struct TransferLimits {
  std::uint32_t offered;
  std::uint32_t tolerated;
};
// `hw_max_sectors` counts blocks, too. The kernel enforces none of it for TCMU. Its default, 128,
// is taken for "not set": 64 KiB would make 16 commands of a megabyte. Any other value is taken as
// set by the operator.
TransferLimits transfer_limits(std::uint32_t hw_max_sectors, Bytes block) {
  constexpr std::uint32_t kernel_default = 128;
  constexpr std::uint64_t usual{std::uint64_t{1} << 20};
  const auto most = static_cast<std::uint32_t>(io::BufferPool::largest / block.value());
  if (hw_max_sectors == 0 || hw_max_sectors == kernel_default) {
    return {static_cast<std::uint32_t>(usual / block.value()), most};
  }
  const std::uint32_t asked = std::min(hw_max_sectors, most);
  return {asked, asked};
}

// A number that initiators cannot guess. It never waits: by the time a daemon runs, the kernel has
// random numbers. If it has none all the same, the clock must do.
std::uint64_t random_number() {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof number)) {
    number =
        static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  return number;
}

// Where the LUN keeps what initiators have set with MODE SELECT.
lun::KeptModes::Place modes_place(const std::string& name, const backend::StoreConfig& store) {
  const std::string records = records_folder();
  return {.folder = records.empty() ? "" : records + "/modes",
          .lun = name,
          .store = backend::to_string(store)};
}

// The main thread only. If the folder did not answer for one LUN, the next ones do not wait for it
// as long: with many LUNs the daemon would not get ready in the time that systemd gives it.
std::optional<lun::KeptModes::Values> kept_modes(const lun::KeptModes::Place& place) {
  static bool folder_hung = false;
  const Nanoseconds patience =
      folder_hung ? std::chrono::milliseconds{50} : lun::KeptModes::patience;
  const Result<std::optional<lun::KeptModes::Values>> found = lun::KeptModes::find(place, patience);
  folder_hung = !found && found.error().errno_value == ETIMEDOUT;
  if (!found) {
    log(LogLevel::warning,
        "{}: {}; so it is not known what initiators have set with MODE SELECT, and the LUN begins "
        "with its defaults",
        place.lun, found.error().message);
    return std::nullopt;
  }
  return found.value();
}

}  // namespace

Result<std::unique_ptr<Device>> Device::open(abi::tcmu_device* dev, bool at_start,
                                             Nanoseconds patience) {
  Result<Configuration> found = opening_configuration(abi::tcmu_dev_get_cfgstring(dev));
  if (!found) {
    return found.error();
  }
  Configuration& configuration = found.value();
  std::unique_ptr<Device> device{new Device{dev, lun_name(dev)}};
  if (!configuration.warning.empty()) {
    log(LogLevel::error, "{}: {}", device->name_, configuration.warning);
  }
  device->profiles_ = std::move(configuration.profiles);
  Result<void> ready;
  try {
    ready = device->set_up(configuration.config, at_start, patience);
  } catch (const std::bad_alloc&) {
    ready = Error{ENOMEM, "out of memory"};
  }
  if (!ready) {
    return ready.error();
  }
  return device;
}

Device::Device(abi::tcmu_device* dev, std::string name)
    : dev_{dev},
      name_{std::move(name)},
      executor_{name_.c_str(), clock_},
      sweeps_{executor_},
      stirred_{executor_, "the next sweep"},
      landmark_{executor_, Anatomy::device, this} {}

Device::~Device() {
  if (loop_ != nullptr) {
    loop_->stop();
  }
}

Result<void> Device::set_up(const lun::LunConfig& config, bool at_start, Nanoseconds patience) {
  if (Result<void> geometry = check_geometry(); !geometry) {
    return geometry;
  }
  if (Result<void> machinery = open_machinery(config); !machinery) {
    return machinery;
  }
  log(LogLevel::info, "{}: the kernel's command ring supports: {}", name_,
      describe_mailbox_flags(ring_->mailbox().flags));
  // This is the last step that can fail: once there is a store, it must be closed in order.
  if (Result<void> store = open_store(at_start, patience); !store) {
    return store;
  }
  const co::Message sweep{.run = &begin_sweep, .context = this};
  (void)loop_->drive(&sweep);
  return {};
}

Result<void> Device::check_geometry() const {
  const Bytes block{abi::tcmu_dev_get_block_size(dev_)};
  const BlockCount blocks{abi::tcmu_dev_get_num_lbas(dev_)};
  if (block < Bytes{512} || block > Bytes{4096} || !std::has_single_bit(block.value())) {
    return Error{EINVAL, fmt::format("hw_block_size is {}; it must be 512, 1024, 2048 or 4096",
                                     block.value())};
  }
  if (blocks == BlockCount{} || blocks.value() > (std::uint64_t{1} << 63) / block.value()) {
    return Error{EINVAL, fmt::format("a size of {} blocks of {} bytes is not possible; give one "
                                     "block at least and 8 EiB at most",
                                     blocks.value(), block.value())};
  }
  return {};
}

// Opens what a LUN needs besides its store: memory, the io_uring, the command ring, threads.
Result<void> Device::open_machinery(const lun::LunConfig& config) {
  if (const char* const lacks = executor_.lacks(); lacks != nullptr) {
    return Error{EMFILE, lacks};
  }
  io::UringOptions options;
  // The store's operations and the log's must not take each other's place.
  const std::size_t tiers = config.log.path.empty() ? 1 : 2;
  options.max_operations =
      std::max<std::size_t>(options.max_operations, config.queue_depth) * tiers;
  options.store_threads = write_log::store_threads_for(config.store, config.log);
  Result<std::unique_ptr<io::Uring>> uring = io::Uring::open(executor_, options);
  if (!uring) {
    return uring.error();
  }
  uring_ = std::move(uring).value();
  Result<std::unique_ptr<io::BufferPool>> buffers = io::BufferPool::open(executor_, data_limit);
  if (!buffers) {
    return buffers.error();
  }
  buffers_ = std::move(buffers).value();
  if (Result<void> ring = open_ring(); !ring) {
    return ring;
  }
  make_lun(config);
  attributes_ = std::make_unique<Attributes>(dev_);
  if (!config.copy_group.empty()) {
    wwn_folder_ = open_in_configfs(dev_, "wwn");
  }
  set_attributes();
  if (backend::is_shared(config.store)) {
    groups_ = std::make_unique<GroupReader>(dev_);
  }
  watch_ = std::make_unique<RingWatch>(config.poll);
  helper_ = std::make_unique<io::HelperThread>(executor_);
  watched_ = std::make_unique<watch::Watchdog::Lun>(watchdog(), name_, executor_);
  loop_ = std::make_unique<io::Loop>(executor_, clock_, uring_.get());
  loop_->set_under_way(
      [](void* self) {
        const Device& device = *static_cast<Device*>(self);
        return device.helper_->pending() + device.library_operations_ > 0;
      },
      this);
  if (Result<void> started = loop_->start(); !started) {
    return started;
  }
  return {};
}

void Device::make_lun(const lun::LunConfig& config) {
  lun::KeptModes::Place modes = modes_place(name_, config.store);
  const std::optional<lun::KeptModes::Values> kept = kept_modes(modes);
  const Bytes block{abi::tcmu_dev_get_block_size(dev_)};
  const TransferLimits transfer = transfer_limits(abi::tcmu_dev_get_max_xfer_len(dev_), block);
  lun_ = std::make_unique<lun::Lun>(
      lun::Runtime{executor_, *buffers_, stalled_luns(), &copy_offers()},
      lun::LunSetup{.name = name_,
                    .config = config,
                    .logical_block = block,
                    .capacity = BlockCount{abi::tcmu_dev_get_num_lbas(dev_)},
                    .max_transfer_blocks = transfer.offered,
                    .tolerated_transfer_blocks = transfer.tolerated,
                    .fence_seed = random_number(),
                    .modes_place = std::move(modes),
                    .modes = kept},
      *this);
}

backend::OpenContext Device::open_context() {
  const Bytes block{abi::tcmu_dev_get_block_size(dev_)};
  return backend::OpenContext{.executor = executor_,
                              .uring = *uring_,
                              .buffers = *buffers_,
                              .helper = *helper_,
                              .library_operations = library_operations_,
                              .size = Bytes{abi::tcmu_dev_get_num_lbas(dev_) * block.value()},
                              .logical_block = block};
}

// Waits for the store, `patience` at most.
Result<void> Device::open_store(bool at_start, Nanoseconds patience) {
  const backend::StoreConfig& config = lun_->config().store;
  const backend::OpenContext context = open_context();
  const backend::StoreOrder order =
      store_order(config, name_, context.size, context.logical_block, at_start);
  Result<std::unique_ptr<backend::StoreSource>> source =
      write_log::open_logged(order, lun_->config().log, context);
  if (!source) {
    return source.error();
  }
  switch (source.value()->wait(patience)) {
    case backend::StoreSource::State::refused:
      return source.value()->error();
    case backend::StoreSource::State::opened:
      lun_->use(source.value()->take());
      return {};
    case backend::StoreSource::State::trying:
      log(LogLevel::warning,
          "{}: becoming ready: {} does not answer, so its storage may be frozen; commands are "
          "answered BUSY until it answers",
          name_, backend::to_string(config));
      break;
    case backend::StoreSource::State::waiting:  // the source has logged the reason
    case backend::StoreSource::State::found:
      break;
  }
  backend::StoreSource* const waited_for = source.value().release();
  const co::Message waiting{
      .run = &begin_waiting, .context = this, .value = std::bit_cast<std::int64_t>(waited_for)};
  (void)loop_->drive(&waiting);
  return {};
}

void Device::begin_waiting(void* self, std::int64_t source) {
  static_cast<Device*>(self)->lun_->wait_for(
      std::unique_ptr<backend::StoreSource>{std::bit_cast<backend::StoreSource*>(source)});
}

Result<void> Device::open_ring() {
  void* base = nullptr;
  std::size_t length = 0;
  off_t offset = 0;
  char* const path = abi::tcmu_dev_get_memory_info(dev_, &base, &length, &offset);
  if (path == nullptr || base == nullptr || length < sizeof(abi::tcmu_mailbox)) {
    std::free(path);
    return Error{EIO, "libtcmu does not say where the command ring is mapped"};
  }
  std::free(path);
  const std::span<std::byte> mapping{static_cast<std::byte*>(base), length};
  ring_ = std::make_unique<Ring>(executor_, dev_, mapping);
  cursor_ = std::make_unique<RingCursor>(mapping);
  Sweep::Host& host = *this;
  sweep_ = std::make_unique<Sweep>(mapping, *cursor_, host);
  return {};
}

// open() is too early for this: the daemon calls open() when the backstore is enabled, and
// targetcli's library sets the serial number after that. The first command comes later than both.
void Device::read_identity() {
  struct Free {
    void operator()(char* text) const noexcept { std::free(text); }
  };
  const std::unique_ptr<char, Free> serial{abi::tcmu_cfgfs_dev_get_wwn(dev_)};
  try {
    identity_.unit_serial = serial != nullptr ? serial.get() : "";
  } catch (const std::bad_alloc&) {
    return;  // the next command tries again
  }
  // The kernel answers reservations unless one of these attributes is 0. One that the kernel does
  // not have does not count.
  identity_.kernel_reserves =
      attributes_->read("emulate_pr") != 0 && attributes_->read("pgr_support") != 0;
  const std::string_view unit_serial = serial != nullptr ? serial.get() : "";
  identity_read_.store(true, std::memory_order_release);
  if (unit_serial.empty()) {
    log(LogLevel::warning,
        "{}: the backstore has no unit serial (wwn/vpd_unit_serial in configfs), so initiators "
        "cannot tell this LUN from others (/dev/disk/by-id, multipath); give it one",
        name_);
    return;
  }
  try {
    serial_claim_.take(name_, unit_serial);
  } catch (const std::bad_alloc&) {
    log_plain(LogLevel::warning,
              "out of memory: the unit serial of a LUN was not compared with those of the others");
  }
}

// A LUN that has had no command yet, for example since the daemon was restarted, may be copied
// from. Nothing of its identity is settled by that. By now, targetcli's library has set the serial
// number long ago. The file is opened as in attributes.h.
void Device::offer_to_copies() {
  if (lun_->config().copy_group.empty()) {
    return;
  }
  constexpr std::string_view heading = "T10 VPD Unit Serial Number: ";
  char text[heading.size() + 256];
  std::string_view serial;
  if (!lun_->is_identified()) {  // else it knows
    const UniqueFd file{::openat(wwn_folder_.get(), "vpd_unit_serial", O_RDONLY | O_CLOEXEC)};
    const ssize_t length = file ? ::read(file.get(), text, sizeof text) : -1;
    serial = {text, length > 0 ? static_cast<std::size_t>(length) : 0};
    serial = serial.starts_with(heading) ? serial.substr(heading.size()) : std::string_view{};
  }
  try {
    lun_->offer_to_copies(serial.substr(0, serial.find('\n')));
  } catch (const std::bad_alloc&) {
    // the next time
  }
}

}  // namespace ballast::handler
