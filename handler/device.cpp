// SPDX-License-Identifier: Apache-2.0
#include "handler/device.h"

#include <algorithm>
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

// The data of all commands of one LUN, orphans included. Mapped, and only what is used is there.
constexpr Bytes data_limit{std::uint64_t{64} << 20};
constexpr std::size_t incoming_per_slab = 64;

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

scsi::TaskSetLimits limits_of(const config::LunConfig& config) {
  return scsi::TaskSetLimits{.deadline = config.deadline,
                             .slow = config.slow,
                             .stall_after = config.stall_after,
                             .stall_window = config.stall_window};
}

}  // namespace

struct Device::Question {
  watch::LunSnapshot snapshot;
  std::binary_semaphore done{0};
};

struct Device::Resize {
  BlockCount blocks;
  IoStatus status = IoStatus::not_ready;
  std::binary_semaphore done{0};
};

Result<std::unique_ptr<Device>> Device::open(abi::tcmu_device* dev, bool may_wait) {
  Result<config::LunConfig> config = config::parse(config_string(abi::tcmu_dev_get_cfgstring(dev)));
  if (!config) {
    return config.error();
  }
  std::unique_ptr<Device> device{new Device{dev, lun_name(dev), std::move(config).value()}};
  if (Result<void> ready = device->set_up(may_wait); !ready) {
    return ready.error();
  }
  return device;
}

Device::Device(abi::tcmu_device* dev, std::string name, config::LunConfig config)
    : dev_{dev},
      name_{std::move(name)},
      config_{std::move(config)},
      executor_{name_.c_str(), clock_},
      resizes_{executor_},
      closing_{executor_},
      leaving_{executor_, "the next sweep"},
      idle_{executor_, "a closing LUN's last answer"},
      closed_{executor_, "the backend to be closed"},
      departed_{executor_, "the LUN to be closed"},
      opened_{clock_.now()} {}

Device::~Device() {
  BALLAST_ASSERT(backend_ == nullptr || is_gone());
  if (loop_ != nullptr) {
    loop_->stop();
  }
}

Result<void> Device::set_up(bool may_wait) {
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
  if (Result<void> deadline = check_deadline(config_.deadline); !deadline) {
    return deadline;
  }

  io::UringOptions options;
  options.max_operations = std::max<std::size_t>(options.max_operations, config_.queue_depth);
  Result<std::unique_ptr<io::Uring>> uring = io::Uring::open(executor_, options);
  if (!uring) {
    return uring.error();
  }
  uring_ = std::move(uring).value();
  Result<std::unique_ptr<io::BufferPool>> buffers =
      io::BufferPool::open(executor_, data_limit, nullptr);
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
  slow_log_ = std::make_unique<watch::SlowLog>(name_, block);
  // Last of what can fail: from here on there is something to close.
  if (const Result<void> opened = open_backend(); !opened) {
    if (!may_wait || opened.error().errno_value != EBUSY) {
      return opened.error();
    }
    log(LogLevel::warning, "{}: {}; commands are answered BUSY until it is free", name_,
        opened.error().message);
    const co::Message waiting{.run = &begin_waiting, .context = this};
    (void)loop_->drive(&waiting);
  }
  const co::Message sweep{.run = &begin_sweep, .context = this};
  (void)loop_->drive(&sweep);
  return {};
}

// In set_up(), or on the executor: then nothing else of the LUN goes on that it could hold up.
Result<void> Device::open_backend() {
  const Bytes block{abi::tcmu_dev_get_block_size(dev_)};
  const BlockCount blocks{abi::tcmu_dev_get_num_lbas(dev_)};
  Result<std::unique_ptr<backend::Backend>> opened =
      backend::open(config_, backend::OpenContext{.executor = executor_,
                                                  .uring = *uring_,
                                                  .buffers = *buffers_,
                                                  .helper = *helper_,
                                                  .size = Bytes{blocks.value() * block.value()},
                                                  .logical_block = block});
  if (!opened) {
    return opened.error();
  }
  backend_ = std::make_unique<Gate>(std::move(opened).value());
  volume_ = std::make_unique<volume::Volume>(
      *backend_,
      volume::VolumeConfig{
          .logical_block = block, .capacity = blocks, .queue_depth = config_.queue_depth});
  log(LogLevel::info,
      "{}: open: {}, {} blocks of {} bytes, transfers up to {} blocks; this kernel's ring has: {}",
      name_, backend_->description(), blocks.value(), block.value(),
      abi::tcmu_dev_get_max_xfer_len(dev_), describe_mailbox_flags(ring_->flags()));
  return {};
}

co::Task<void> Device::wait_for_store() {
  for (;;) {
    const bool leaving = co_await leaving_.wait_until(executor_.now() + open_interval);
    if (leaving) {
      co_return;
    }
    const Result<void> opened = open_backend();
    if (opened) {
      co_return;
    }
    if (opened.error().errno_value != EBUSY) {
      log(LogLevel::error, "{}: cannot be opened: {}; trying again", name_, opened.error().message);
    }
  }
}

void Device::begin_waiting(void* self, std::int64_t) {
  Device& device = *static_cast<Device*>(self);
  device.closing_.spawn("waiting for the store", device.wait_for_store());
}

// Later the kernel would answer by itself, with an error.
Result<void> Device::check_deadline(Nanoseconds deadline) const {
  const int seconds = abi::tcmu_cfgfs_dev_get_attr_int(dev_, "cmd_time_out");
  if (seconds > 0 && deadline >= std::chrono::seconds{seconds}) {
    return Error{EINVAL,
                 fmt::format("deadline={} is not below the kernel's own cmd_time_out of {} s; set "
                             "deadline lower, or the backstore's attribute cmd_time_out higher",
                             config::format_duration(deadline), seconds)};
  }
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
  const auto most =
      static_cast<std::uint32_t>(volume_->blocks_in(Bytes{io::BufferPool::largest}).value());
  const std::uint32_t given = abi::tcmu_dev_get_max_xfer_len(dev_);
  config.max_transfer_blocks = given == 0 ? most : std::min(given, most);
  config.write_same_max = config_.write_same_max;
  disk_ = std::make_unique<scsi::Disk>(*volume_, std::move(config));
  task_set_ =
      std::make_unique<scsi::TaskSet>(*disk_, *this, *buffers_, *slow_log_, limits_of(config_));
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
  const int fd = abi::tcmu_dev_get_fd(dev_);
  io::LingerEnd end = loop_->linger(fd, linger_limit, &batch);
  // The kernel raises an event for each command, and the daemon may have read several commands for
  // the first: an event without a command behind it is eaten, as the daemon would. The clock is
  // read only then.
  TimePoint until{};
  while (end == io::LingerEnd::commands && !cursor_->more()) {
    abi::tcmulib_processing_start(dev_);
    const TimePoint now = clock_.now();
    if (until == TimePoint{}) {
      until = now + linger_limit;
    }
    if (cursor_->more() || now >= until) {
      return;
    }
    end = loop_->linger(fd, until - now);
  }
}

void Device::begin_batch(void* self, std::int64_t first_command) {
  Device& device = *static_cast<Device*>(self);
  if (device.disk_ == nullptr && device.volume_ != nullptr) {
    device.make_disk();
  }
  auto* cmd = std::bit_cast<abi::tcmulib_cmd*>(first_command);
  while (cmd != nullptr) {
    auto* const next = static_cast<abi::tcmulib_cmd*>(cmd->hm_private);
    device.begin(cmd);
    cmd = next;
  }
}

Device::Incoming* Device::take_incoming() {
  if (free_incoming_ == nullptr) {
    incoming_.push_back(std::make_unique<Incoming[]>(incoming_per_slab));
    for (std::size_t i = 0; i < incoming_per_slab; ++i) {
      incoming_.back()[i].next_free = std::exchange(free_incoming_, &incoming_.back()[i]);
    }
  }
  return std::exchange(free_incoming_, free_incoming_->next_free);
}

void Device::begin(abi::tcmulib_cmd* cmd) {
  if (task_set_ == nullptr) {
    ring_->answer(cmd, scsi::Status::busy);
    return;
  }
  Incoming* const incoming = take_incoming();
  incoming->cmd = cmd;
  incoming->cdb = std::span<const std::uint8_t>{cmd->cdb, cdb_length_of(cmd->cdb)};
  incoming->data = io::SgView{std::span<const iovec>{cmd->iovec, cmd->iov_cnt}};
  incoming->sense = cmd->sense_buf;
  incoming->transferred = 0;
  incoming->sense_length = 0;
  task_set_->begin(*incoming);
}

void Device::answer(scsi::Command& command, scsi::Status status) {
  auto& incoming = static_cast<Incoming&>(command);
  ring_->answer(incoming.cmd, incoming, status);
  incoming.next_free = std::exchange(free_incoming_, &incoming);
  if (leaving_.is_set() && unanswered() == 0) {
    idle_.set();
  }
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
    const bool idle = unanswered() == 0;
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

bool Device::close() {
  if (plug_.first != nullptr) {
    flush_plug(false);
  }
  const co::Message message{.run = &begin_close, .context = this};
  (void)loop_->drive(&message);
  loop_->run_until([](void* self) { return static_cast<Device*>(self)->departed_.is_set(); }, this);
  log(LogLevel::info, "{}: closed: {} commands answered with {} doorbells", name_,
      ring_->stats().answers, ring_->stats().doorbells);
  return is_gone();
}

void Device::begin_close(void* self, std::int64_t) {
  Device& device = *static_cast<Device*>(self);
  device.leaving_.set();
  device.closing_.spawn("close", device.close_in_order());
}

co::Task<void> Device::close_in_order() {
  if (unanswered() == 0) {
    idle_.set();
  }
  const bool idle = co_await idle_.wait_until(executor_.now() + close_patience);
  if (!idle) {
    log(LogLevel::warning, "{}: {} commands are still at the backend {}; they are ended", name_,
        unanswered(), backend_->description());
  }
  if (task_set_ != nullptr) {
    co_await task_set_->shut();
  }
  closing_.spawn("close: backend", close_backend());
  const bool closed = co_await closed_.wait_until(executor_.now() + depart_patience);
  if (!closed) {
    log(LogLevel::warning,
        "{}: closed, but {} holds operations that it can neither finish nor end; they go on, and "
        "the storage stays locked until the last of them has ended",
        name_, backend_->description());
  }
  departed_.set();
}

co::Task<void> Device::close_backend() {
  if (backend_ != nullptr) {
    backend_->shut();
    co_await co::yield(executor_);
    co_await backend_->close();
  }
  if (task_set_ != nullptr) {
    co_await task_set_->drained();
  }
  co_await resizes_.join();
  if (departed_.is_set()) {
    log(LogLevel::info, "{}: the last operation has ended, the storage is let go of", name_);
  }
  closed_.set();
  closing_.spawn("close: last", leave());
}

// Waits for the tasks that closed_ has woken, so that nothing is left when is_gone() says so.
co::Task<void> Device::leave() {
  while (closing_.live() > 1) {
    co_await co::yield(executor_);
  }
  gone_.store(true, std::memory_order_release);
}

Result<void> Device::resize(Bytes size) {
  if (volume_ == nullptr) {
    return Error{EBUSY, "cannot be resized while it waits for its store: see the lines above"};
  }
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
  Result<config::LunConfig> wanted = config::parse(config_string(daemon_string));
  if (!wanted) {
    return wanted.error();
  }
  config::LunConfig but_for_limits = wanted.value();
  but_for_limits.deadline = config_.deadline;
  but_for_limits.slow = config_.slow;
  but_for_limits.stall_after = config_.stall_after;
  but_for_limits.stall_window = config_.stall_window;
  if (but_for_limits != config_) {
    return Error{EINVAL,
                 fmt::format("cannot change from \"{}\" to \"{}\" while it is open: only deadline, "
                             "slow, stall_after and stall_window can; delete the backstore and "
                             "create it anew (the data stays)",
                             config::to_string(config_), config::to_string(wanted.value()))};
  }
  if (Result<void> deadline = check_deadline(wanted.value().deadline); !deadline) {
    return deadline;
  }
  auto limits = std::make_unique<config::LunConfig>(std::move(wanted).value());
  const co::Message message{.run = &begin_limits,
                            .context = this,
                            .value = std::bit_cast<std::int64_t>(limits.release())};
  (void)loop_->drive(&message);
  return {};
}

void Device::begin_limits(void* self, std::int64_t limits) {
  Device& device = *static_cast<Device*>(self);
  const std::unique_ptr<config::LunConfig> wanted{std::bit_cast<config::LunConfig*>(limits)};
  device.config_ = *wanted;
  if (device.task_set_ != nullptr) {
    device.task_set_->set_limits(limits_of(device.config_));
  }
  log(LogLevel::info, "{}: deadline {}, slow {}, stalled after {}, window {}", device.name_,
      config::format_duration(wanted->deadline), config::format_duration(wanted->slow),
      config::format_duration(wanted->stall_after), wanted->stall_window);
}

bool Device::snapshot(watch::LunSnapshot* into, Nanoseconds patience) {
  auto question = std::make_shared<Question>();
  auto handed_over = std::make_unique<std::shared_ptr<Question>>(question);
  const co::Message message{.run = &begin_snapshot,
                            .context = this,
                            .value = std::bit_cast<std::int64_t>(handed_over.release())};
  (void)loop_->drive(&message);
  if (!question->done.try_acquire_for(patience)) {
    return false;
  }
  *into = std::move(question->snapshot);
  return true;
}

void Device::begin_snapshot(void* self, std::int64_t question) {
  const Device& device = *static_cast<Device*>(self);
  const std::unique_ptr<std::shared_ptr<Question>> asked{
      std::bit_cast<std::shared_ptr<Question>*>(question)};
  device.describe(&(*asked)->snapshot);
  (*asked)->done.release();
}

void Device::describe(watch::LunSnapshot* snapshot) const {
  snapshot->name = name_;
  snapshot->configuration = config::to_string(config_);
  snapshot->backend =
      backend_ != nullptr ? backend_->description() : "waiting for " + config::to_string(config_);
  snapshot->fault_control = config_.fault_control;
  if (volume_ != nullptr) {
    snapshot->logical_block = volume_->logical_block();
    snapshot->capacity = Bytes{volume_->capacity().value() * volume_->logical_block().value()};
  }
  snapshot->queue_depth = config_.queue_depth;
  snapshot->now = executor_.now();
  snapshot->opened = opened_;
  snapshot->refused_wakes = executor_.stats().refused_wakes;
  if (task_set_ != nullptr) {
    task_set_->describe(snapshot);
  } else {
    const scsi::TaskSetLimits limits = limits_of(config_);
    snapshot->deadline = limits.deadline;
    snapshot->slow = limits.slow;
    snapshot->stall_after = limits.stall_after;
    snapshot->stall_window = limits.stall_window;
  }
  for (const co::TaskInfo* task = executor_.registry().first(); task != nullptr;
       task = task->next) {
    watch::TaskView view;
    view.name = task->name;
    if (task->waits_for != nullptr) {
      view.waits_for = task->waits_for;
      const std::string_view path = task->wait_site.file_name();
      view.where = fmt::format("{}:{}", path.substr(path.rfind('/') + 1), task->wait_site.line());
      view.for_how_long = executor_.now() - task->since;
    }
    snapshot->tasks.push_back(std::move(view));
  }
}

}  // namespace ballast::handler
