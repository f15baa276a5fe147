// SPDX-License-Identifier: Apache-2.0
// From a device of the daemon to a LUN that takes commands.
#include "handler/device.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "handler/config_string.h"
#include "handler/lun_name.h"
#include "handler/store_order.h"
#include "lib/backend/absent.h"
#include "lib/backend/factory.h"
#include "lib/base/assert.h"
#include "lib/base/log.h"
#include "lib/base/never_destroyed.h"

namespace ballast::handler {
namespace {

// The data of all commands of one LUN, orphans included. Mapped, and only what is used is there.
constexpr Bytes data_limit{std::uint64_t{64} << 20};

scsi::StalledLuns& stalled_luns() {
  return never_destroyed<scsi::StalledLuns>();
}

unsigned physical_block_exponent(Bytes logical_block, Bytes physical_block) {
  if (physical_block <= logical_block) {
    return 0;
  }
  return static_cast<unsigned>(std::countr_zero(physical_block.value()) -
                               std::countr_zero(logical_block.value()));
}

// In blocks.
struct TransferLimits {
  std::uint32_t offered;
  std::uint32_t tolerated;
};
// `hw_max_sectors` counts blocks, too. The kernel enforces none of it for TCMU, and 128, its
// default, is taken for "nobody asked": 64 KiB would make 16 commands of a megabyte. Any other
// value is somebody's wish.
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

// What no initiator can know. Never waits: by the time a daemon runs the kernel has random numbers.
std::uint64_t random_number() {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof number)) {
    number =
        static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  return number;
}

}  // namespace

Result<std::unique_ptr<Device>> Device::open(abi::tcmu_device* dev, bool at_start,
                                             Nanoseconds patience) {
  Result<config::LunConfig> config = config::parse(config_string(abi::tcmu_dev_get_cfgstring(dev)));
  if (!config) {
    return config.error();
  }
  std::unique_ptr<Device> device{new Device{dev, lun_name(dev), std::move(config).value()}};
  Result<void> ready;
  try {
    ready = device->set_up(at_start, patience);
  } catch (const std::bad_alloc&) {
    ready = Error{ENOMEM, "out of memory"};
  }
  if (ready) {
    return device;
  }
  if (device->backend_ != nullptr) {
    // Nothing was asked of it yet, so closing it does not depart.
    BALLAST_ASSERT(device->close(close_patience));
  }
  return ready.error();
}

Device::Device(abi::tcmu_device* dev, std::string name, config::LunConfig config)
    : dev_{dev},
      name_{std::move(name)},
      config_{std::move(config)},
      executor_{name_.c_str(), clock_},
      resizes_{executor_},
      closing_{executor_},
      leaving_{executor_, "the LUN to be closed"},
      stirred_{executor_, "the next sweep"},
      idle_{executor_, "a closing LUN's last answer"},
      closed_{executor_, "the backend to be closed"},
      ended_{executor_, "the LUN to end"},
      departed_{executor_, "the LUN to be closed"},
      opened_{clock_.now()} {}

Device::~Device() {
  BALLAST_ASSERT(backend_ == nullptr || is_gone());
  if (loop_ != nullptr) {
    loop_->stop();
  }
}

Result<void> Device::set_up(bool at_start, Nanoseconds patience) {
  if (Result<void> geometry = check_geometry(); !geometry) {
    return geometry;
  }
  if (Result<void> machinery = open_machinery(); !machinery) {
    return machinery;
  }
  // Last of what can fail: from here on there is something to close.
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
    return Error{EINVAL, fmt::format("the size of {} blocks of {} bytes cannot be; give a size of "
                                     "at least one block",
                                     blocks.value(), block.value())};
  }
  return {};
}

// What a LUN has besides its store: memory, a ring of the kernel's, threads.
Result<void> Device::open_machinery() {
  if (const char* const lacks = executor_.lacks(); lacks != nullptr) {
    return Error{EMFILE, lacks};
  }
  io::UringOptions options;
  options.max_operations = std::max<std::size_t>(options.max_operations, config_.queue_depth);
  options.store_thread = config_.scheme == config::Scheme::file;
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
  attributes_ = std::make_unique<Attributes>(dev_);
  set_attributes();
  helper_ = std::make_unique<io::HelperThread>(executor_);
  loop_ = std::make_unique<io::Loop>(executor_, clock_, uring_.get());
  loop_->set_under_way(
      [](void* self) { return static_cast<Device*>(self)->helper_->pending() > 0; }, this);
  if (Result<void> started = loop_->start(); !started) {
    return started;
  }
  slow_log_ = std::make_unique<watch::SlowLog>(name_, Bytes{abi::tcmu_dev_get_block_size(dev_)});
  return {};
}

backend::OpenContext Device::open_context() {
  const Bytes block{abi::tcmu_dev_get_block_size(dev_)};
  return backend::OpenContext{.executor = executor_,
                              .uring = *uring_,
                              .buffers = *buffers_,
                              .helper = *helper_,
                              .size = Bytes{abi::tcmu_dev_get_num_lbas(dev_) * block.value()},
                              .logical_block = block};
}

// Waits for the store, but not for ever.
Result<void> Device::open_store(bool at_start, Nanoseconds patience) {
  const backend::OpenContext context = open_context();
  if (config_.scheme != config::Scheme::file) {
    Result<std::unique_ptr<backend::Backend>> opened = backend::open(config_, context);
    if (!opened) {
      return opened.error();
    }
    use(std::move(opened).value(), nullptr);
    return {};
  }
  if (Result<void> numbers = backend::check_numbers(context.size, context.logical_block);
      !numbers) {
    return numbers;
  }
  opener_ = std::make_unique<backend::StoreOpener>(
      store_order(config_, name_, context.size, context.logical_block, at_start));
  switch (opener_->wait(patience)) {
    case backend::StoreOpener::State::refused:
      return opener_->error();
    case backend::StoreOpener::State::opened:
      use_opened(context);
      opener_.reset();
      return {};
    case backend::StoreOpener::State::trying:
      log(LogLevel::warning,
          "{}: becoming ready: {} does not answer: is its storage frozen?; commands are answered "
          "BUSY until it does",
          name_, config_.path);
      break;
    case backend::StoreOpener::State::waiting:
      break;  // it has said why
  }
  const co::Message becoming_ready{.run = &begin_becoming_ready, .context = this};
  (void)loop_->drive(&becoming_ready);
  return {};
}

void Device::begin_becoming_ready(void* self, std::int64_t) {
  Device& device = *static_cast<Device*>(self);
  device.closing_.spawn("becoming ready", device.become_ready());
}

co::Task<void> Device::become_ready() {
  for (;;) {
    const bool leaving = co_await leaving_.wait_until(executor_.now() + look_interval);
    if (leaving) {
      co_return;
    }
    const backend::StoreOpener::State state = opener_->state();
    if (state == backend::StoreOpener::State::opened) {
      use_found();
      co_return;
    }
    // It hung at first, and failed for good when somebody was making the LUN.
    if (state == backend::StoreOpener::State::refused) {
      log(LogLevel::error, "{}: cannot be opened: {}; delete the backstore and create it anew",
          name_, opener_->error().message);
      co_return;
    }
  }
}

void Device::use_found() {
  try {
    use_opened(open_context());
  } catch (const std::bad_alloc&) {
    volume_.reset();
    backend_.reset();
    log(LogLevel::error,
        "{}: cannot be opened: out of memory; delete the backstore and create it "
        "anew (the data stays)",
        name_);
  }
  opener_.reset();
}

void Device::use_opened(const backend::OpenContext& context) {
  backend::OpenFile file = opener_->take();
  std::shared_ptr<backend::UnheardFlush> unheard_flush = file.claim.unheard_flush();
  use(backend::assemble(config_, std::move(file), context), std::move(unheard_flush));
}

// In set_up(), or on the executor.
void Device::use(std::unique_ptr<backend::Backend> backend,
                 std::shared_ptr<backend::UnheardFlush> unheard_flush) {
  const Bytes block{abi::tcmu_dev_get_block_size(dev_)};
  const BlockCount blocks{abi::tcmu_dev_get_num_lbas(dev_)};
  backend_ = std::make_unique<backend::Gate>(std::move(backend));
  volume_ = std::make_unique<volume::Volume>(
      *backend_, volume::VolumeConfig{.logical_block = block,
                                      .capacity = blocks,
                                      .queue_depth = config_.queue_depth,
                                      .fence_seed = random_number(),
                                      .unheard_flush = std::move(unheard_flush)});
  store_ = backend_->description();
  log(LogLevel::info,
      "{}: open: {}, {} blocks of {} bytes, transfers up to {} blocks; this kernel's ring has: {}",
      name_, store_, blocks.value(), block.value(),
      transfer_limits(abi::tcmu_dev_get_max_xfer_len(dev_), block).offered,
      describe_mailbox_flags(ring_->flags()));
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
  passed_over_ = std::make_unique<PassedOver>(mapping);
  return {};
}

// Not in open(): targetcli's library sets the serial number after it has enabled the backstore,
// which is when open() is called. The first command comes later than both.
void Device::read_unit_serial() {
  struct Free {
    void operator()(char* text) const noexcept { std::free(text); }
  };
  const std::unique_ptr<char, Free> serial{abi::tcmu_cfgfs_dev_get_wwn(dev_)};
  try {
    unit_serial_ = serial != nullptr ? serial.get() : "";
  } catch (const std::bad_alloc&) {
    return;  // the next command tries again
  }
  // The kernel answers reservations unless these say no; an attribute that it does not have says
  // nothing.
  kernel_reserves_ = attributes_->read("emulate_pr") != 0 && attributes_->read("pgr_support") != 0;
  serial_read_.store(true, std::memory_order_release);
  if (unit_serial_.empty()) {
    log(LogLevel::warning,
        "{}: configfs has no unit serial (wwn/vpd_unit_serial); /dev/disk/by-id and multipath will "
        "not know this LUN",
        name_);
    return;
  }
  try {
    serial_claim_.take(name_, unit_serial_);
  } catch (const std::bad_alloc&) {
    log_plain(LogLevel::warning, "no memory to compare a LUN's unit serial with the others'");
  }
}

// Out of memory: there is none, and the next batch tries again.
void Device::make_disk() {
  try {
    make_disk_now();
  } catch (const std::bad_alloc&) {
    disk_.reset();
  }
}

void Device::make_disk_now() {
  disk_ = std::make_unique<scsi::Disk>(*volume_, disk_config(backend_->geometry()));
  if (expected_ != nullptr && !disk_->looks_like(expected_->disk)) {
    disk_->post_unit_attention(scsi::asc::inquiry_data_has_changed);
  }
  look_at_attributes();
  task_set_ = std::make_unique<scsi::TaskSet>(*disk_, *this, *buffers_, *slow_log_, stalled_luns(),
                                              limits());
  expected_.reset();
}

scsi::DiskConfig Device::disk_config(const backend::Geometry& geometry) const {
  const Bytes block{abi::tcmu_dev_get_block_size(dev_)};
  scsi::DiskConfig config;
  config.product = name_;
  config.unit_serial = unit_serial_;
  config.physical_block_exponent = physical_block_exponent(block, geometry.physical_block);
  const TransferLimits transfer = transfer_limits(abi::tcmu_dev_get_max_xfer_len(dev_), block);
  config.max_transfer_blocks = transfer.offered;
  config.tolerated_transfer_blocks = transfer.tolerated;
  config.kernel_reserves = kernel_reserves_;
  config.write_same_max = config_.write_same_max;
  return config;
}

// Out of memory, or without the unit serial: nothing is expected, and the next INQUIRY tries again.
void Device::expect() {
  if (expected_ != nullptr || !serial_read_.load(std::memory_order_acquire)) {
    return;
  }
  const backend::OpenContext context = open_context();
  try {
    auto absent = backend::make_absent(executor_, context.size, context.logical_block);
    scsi::DiskConfig config = disk_config(absent->geometry());
    expected_ =
        std::make_unique<Expected>(std::move(absent), context.logical_block, std::move(config));
  } catch (const std::bad_alloc&) {
    // There is none yet.
  }
}

}  // namespace ballast::handler
