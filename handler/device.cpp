// SPDX-License-Identifier: Apache-2.0
#include "handler/device.h"

#include <bit>
#include <cerrno>
#include <cstdlib>
#include <semaphore>
#include <span>
#include <utility>

#include "handler/config_string.h"
#include "handler/lun_name.h"
#include "lib/backend/factory.h"
#include "lib/base/assert.h"
#include "lib/base/log.h"
#include "lib/co/sleep.h"
#include "lib/scsi/cdb.h"

namespace ballast::handler {
namespace {

// Bounce buffers of one LUN. Ring data is page-aligned, so few are needed: two of the largest size.
constexpr Bytes bounce_limit{std::uint64_t{4} << 20};
// Longer than close_patience: the first report comes after the attempt to end them.
constexpr Nanoseconds slow_close_interval = std::chrono::seconds{10};

std::size_t cdb_length_of(const std::uint8_t* cdb) {
  constexpr std::uint8_t variable_length = 0x7f;
  if (cdb[0] == variable_length) {
    return std::size_t{8} + cdb[7];
  }
  return scsi::cdb_length(cdb[0]);
}

unsigned physical_block_exponent(Bytes logical_block, Bytes physical_block) {
  if (physical_block <= logical_block) {
    return 0;
  }
  return static_cast<unsigned>(std::countr_zero(physical_block.value()) -
                               std::countr_zero(logical_block.value()));
}

}  // namespace

struct Device::Resize {
  BlockCount blocks;
  IoStatus status = IoStatus::not_ready;
  std::binary_semaphore done{0};
};

Result<std::unique_ptr<Device>> Device::open(abi::tcmu_device* dev) {
  Result<config::LunConfig> config = config::parse(config_string(abi::tcmu_dev_get_cfgstring(dev)));
  if (!config) {
    return config.error();
  }
  std::unique_ptr<Device> device{new Device{dev, lun_name(dev), std::move(config).value()}};
  if (Result<void> ready = device->set_up(); !ready) {
    return ready.error();
  }
  return device;
}

Device::Device(abi::tcmu_device* dev, std::string name, config::LunConfig config)
    : dev_{dev},
      name_{std::move(name)},
      config_{std::move(config)},
      executor_{name_.c_str(), clock_},
      commands_{executor_},
      resizes_{executor_},
      closing_{executor_},
      leaving_{executor_, "the next sweep"},
      idle_{executor_, "a closing LUN's last command"},
      closed_{executor_, "the LUN to be closed"} {}

Device::~Device() {
  BALLAST_ASSERT(backend_ == nullptr || closed_.is_set());
}

Result<void> Device::set_up() {
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
  const Bytes size{blocks.value() * block.value()};

  io::UringOptions options;
  options.max_operations = std::max<std::size_t>(options.max_operations, config_.queue_depth);
  Result<std::unique_ptr<io::Uring>> uring = io::Uring::open(executor_, options);
  if (!uring) {
    return uring.error();
  }
  uring_ = std::move(uring).value();
  Result<std::unique_ptr<io::BufferPool>> buffers =
      io::BufferPool::open(executor_, bounce_limit, uring_.get());
  if (!buffers) {
    return buffers.error();
  }
  buffers_ = std::move(buffers).value();
  if (Result<void> ring = open_ring(); !ring) {
    return ring;
  }
  helper_ = std::make_unique<io::HelperThread>(executor_);
  loop_ = std::make_unique<io::Loop>(executor_, clock_, uring_.get());
  loop_->set_under_way(
      [](void* self) { return static_cast<Device*>(self)->helper_->pending() > 0; }, this);
  if (Result<void> started = loop_->start(); !started) {
    return started;
  }
  // Last of what can fail: from here on there is something to close.
  Result<std::unique_ptr<backend::Backend>> opened =
      backend::open(config_, backend::OpenContext{.executor = executor_,
                                                  .uring = *uring_,
                                                  .buffers = *buffers_,
                                                  .helper = *helper_,
                                                  .size = size,
                                                  .logical_block = block});
  if (!opened) {
    return opened.error();
  }
  backend_ = std::make_unique<Gate>(std::move(opened).value());
  volume_ = std::make_unique<volume::Volume>(
      *backend_,
      volume::VolumeConfig{
          .logical_block = block, .capacity = blocks, .queue_depth = config_.queue_depth});
  const co::Message sweep{.run = &begin_sweep, .context = this};
  (void)loop_->drive(&sweep);
  log(LogLevel::info,
      "{}: open: {}, {} blocks of {} bytes, transfers up to {} blocks; this kernel's ring has: {}",
      name_, backend_->description(), blocks.value(), block.value(),
      abi::tcmu_dev_get_max_xfer_len(dev_), describe_mailbox_flags(ring_->flags()));
  return {};
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
  return {};
}

// Not in open(): targetcli's library sets the serial number after it has enabled the backstore,
// which is when open() is called. The first command comes later than both.
void Device::read_unit_serial() {
  serial_read_ = true;
  char* const serial = abi::tcmu_cfgfs_dev_get_wwn(dev_);
  if (serial != nullptr) {
    unit_serial_ = serial;
    std::free(serial);
  }
  if (unit_serial_.empty()) {
    log(LogLevel::warning,
        "{}: configfs has no unit serial (wwn/vpd_unit_serial); /dev/disk/by-id and multipath will "
        "not know this LUN",
        name_);
  }
}

void Device::make_disk() {
  const backend::Geometry& geometry = backend_->geometry();
  scsi::DiskConfig config;
  config.product = name_;
  config.unit_serial = unit_serial_;
  config.physical_block_exponent =
      physical_block_exponent(volume_->logical_block(), geometry.physical_block);
  config.max_transfer_blocks = abi::tcmu_dev_get_max_xfer_len(dev_);
  config.write_same_max = config_.write_same_max;
  disk_ = std::make_unique<scsi::Disk>(*volume_, std::move(config));
}

void Device::handle(abi::tcmulib_cmd* cmd) {
  if (!serial_read_) {
    read_unit_serial();
  }
  for (const std::uint16_t id : cursor_->arrived(cmd->cmd_id)) {
    executor_.post(co::Message{.run = &answer_thrown_away, .context = this, .value = id});
  }
  cmd->hm_private = nullptr;
  if (plug_.last != nullptr) {
    plug_.last->hm_private = cmd;
  } else {
    plug_.first = cmd;
  }
  plug_.last = cmd;
  ++plug_.count;
  if (!cursor_->more()) {
    flush_plug(true);
  } else if (plug_.count >= most_plugged) {
    flush_plug(false);
  }
}

void Device::flush_plug(bool stay) {
  const Plug plug = std::exchange(plug_, Plug{});
  const co::Message batch{
      .run = &begin_batch, .context = this, .value = std::bit_cast<std::int64_t>(plug.first)};
  if (stay) {
    linger(batch);
  } else {
    (void)loop_->drive(&batch);
  }
}

void Device::linger(const co::Message& batch) {
  const TimePoint until = clock_.now() + linger_limit;
  const int fd = abi::tcmu_dev_get_fd(dev_);
  io::LingerEnd end = loop_->linger(fd, linger_limit, &batch);
  // The kernel raises an event for each command, and the daemon may have read several commands for
  // the first: an event without a command behind it is eaten, as the daemon would.
  while (end == io::LingerEnd::commands && !cursor_->more()) {
    abi::tcmulib_processing_start(dev_);
    const TimePoint now = clock_.now();
    if (cursor_->more() || now >= until) {
      return;
    }
    end = loop_->linger(fd, until - now);
  }
}

void Device::begin_batch(void* self, std::int64_t first_command) {
  Device& device = *static_cast<Device*>(self);
  if (device.disk_ == nullptr) {
    device.make_disk();
  }
  auto* cmd = std::bit_cast<abi::tcmulib_cmd*>(first_command);
  while (cmd != nullptr) {
    auto* const next = static_cast<abi::tcmulib_cmd*>(cmd->hm_private);
    device.begin(cmd);
    cmd = next;
  }
}

void Device::begin(abi::tcmulib_cmd* cmd) {
  if (commands_.live() >= most_commands) {
    ring_->answer(cmd, scsi::Status::task_set_full);
    return;
  }
  commands_.spawn("command", serve(cmd));
}

co::Task<void> Device::serve(abi::tcmulib_cmd* cmd) {
  scsi::Command command;
  command.cdb = std::span<const std::uint8_t>{cmd->cdb, cdb_length_of(cmd->cdb)};
  command.data = io::SgView{std::span<const iovec>{cmd->iovec, cmd->iov_cnt}};
  const scsi::Status status = co_await disk_->execute(command);
  ring_->answer(cmd, command, status);
}

void Device::answer_thrown_away(void* self, std::int64_t cmd_id) {
  Device& device = *static_cast<Device*>(self);
  device.ring_->answer_thrown_away(static_cast<std::uint16_t>(cmd_id));
}

// Where a command comes after them, arrived() finds those that the daemon threw away. This is for
// the last ones: nobody calls us for them, and the daemon cannot stop while they stand in the ring.
// Entries that stood for a whole interval are behind the daemon, which reads as soon as it is
// woken.
co::Task<void> Device::sweep() {
  RingCursor::Leftovers before;
  for (;;) {
    const bool leaving = co_await leaving_.wait_until(executor_.now() + sweep_interval);
    if (leaving) {
      co_return;
    }
    const bool idle = commands_.live() == 0;
    const RingCursor::Leftovers now = idle ? cursor_->leftovers() : RingCursor::Leftovers{};
    if (now.tail != now.head && now.same_place(before)) {
      for (std::size_t i = 0; i < now.dropped_count; ++i) {
        ring_->answer_thrown_away(now.dropped[i]);
      }
      ring_->skip_to(now.head);
    }
    before = now;
  }
}

void Device::begin_sweep(void* self, std::int64_t) {
  Device& device = *static_cast<Device*>(self);
  device.closing_.spawn("sweep", device.sweep());
}

void Device::close() {
  if (plug_.first != nullptr) {
    flush_plug(false);
  }
  const co::Message message{.run = &begin_close, .context = this};
  (void)loop_->drive(&message);
  loop_->run_until(
      [](void* self) {
        const Device& device = *static_cast<Device*>(self);
        return device.closed_.is_set() && device.closing_.live() == 0;
      },
      this);
  loop_->stop();
  log(LogLevel::info, "{}: closed: {} commands answered with {} doorbells", name_,
      ring_->stats().answers, ring_->stats().doorbells);
}

void Device::begin_close(void* self, std::int64_t) {
  Device& device = *static_cast<Device*>(self);
  device.leaving_.set();
  device.closing_.spawn("close: commands", device.wait_for_commands());
  device.closing_.spawn("close: backend", device.close_backend());
  device.closing_.spawn("close: report", device.report_slow_close());
}

co::Task<void> Device::wait_for_commands() {
  co_await commands_.join();
  co_await resizes_.join();
  idle_.set();
}

co::Task<void> Device::close_backend() {
  const bool idle = co_await idle_.wait_until(executor_.now() + close_patience);
  if (!idle) {
    log(LogLevel::warning, "{}: {} commands are still at the backend {}; closing it ends them",
        name_, commands_.live(), backend_->description());
    backend_->shut();
    co_await co::yield(executor_);
  }
  co_await backend_->close();
  co_await idle_.wait();
  closed_.set();
}

co::Task<void> Device::report_slow_close() {
  for (;;) {
    const bool closed = co_await closed_.wait_until(executor_.now() + slow_close_interval);
    if (closed) {
      co_return;
    }
    if (backend_->is_shut()) {
      log(LogLevel::warning, "{}: closing waits for {} commands that {} can neither finish nor end",
          name_, commands_.live(), backend_->description());
    }
  }
}

Result<void> Device::resize(Bytes size) {
  const Bytes block = volume_->logical_block();
  if (size == Bytes{} || size.value() % block.value() != 0) {
    return Error{EINVAL, fmt::format("cannot be resized to {} bytes, which is no positive multiple "
                                     "of its block of {} bytes",
                                     size.value(), block.value())};
  }
  auto request = std::make_shared<Resize>();
  request->blocks = BlockCount{size.value() / block.value()};
  auto handed_over = std::make_unique<std::shared_ptr<Resize>>(request);
  const co::Message message{.run = &begin_resize,
                            .context = this,
                            .value = std::bit_cast<std::int64_t>(handed_over.release())};
  (void)loop_->drive(&message);
  if (!request->done.try_acquire_for(resize_limit)) {
    return Error{ETIMEDOUT, fmt::format("the resize to {} bytes is not done after {}; it goes on, "
                                        "ask again when the storage answers",
                                        size.value(), config::format_duration(resize_limit))};
  }
  if (!ok(request->status)) {
    const int why = request->status == IoStatus::not_supported ? EOPNOTSUPP : EIO;
    return Error{why,
                 fmt::format("cannot be resized to {} bytes: the backend {} says {}", size.value(),
                             backend_->description(), to_string(request->status))};
  }
  return {};
}

void Device::begin_resize(void* self, std::int64_t request) {
  Device& device = *static_cast<Device*>(self);
  const std::unique_ptr<std::shared_ptr<Resize>> handed_over{
      std::bit_cast<std::shared_ptr<Resize>*>(request)};
  device.resizes_.spawn("resize", device.do_resize(*handed_over));
}

co::Task<void> Device::do_resize(std::shared_ptr<Resize> request) {
  const IoStatus status = co_await volume_->resize(request->blocks);
  if (ok(status)) {
    log(LogLevel::info, "{}: resized to {} blocks", name_, request->blocks.value());
    if (disk_ != nullptr) {
      disk_->capacity_changed();
    }
  }
  request->status = status;
  request->done.release();
}

Result<void> Device::reconfigure(std::string_view daemon_string) {
  const Result<config::LunConfig> wanted = config::parse(config_string(daemon_string));
  if (!wanted) {
    return wanted.error();
  }
  if (wanted.value() != config_) {
    return Error{EINVAL,
                 fmt::format("cannot change from \"{}\" to \"{}\" while it is open; delete "
                             "the backstore and create it anew (the data stays)",
                             config::to_string(config_), config::to_string(wanted.value()))};
  }
  return {};
}

}  // namespace ballast::handler
