// SPDX-License-Identifier: Apache-2.0
// The part of the host (host.h) that plays the kernel.
#include "tests/ring/host.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "lib/base/assert.h"
#include "tests/ring/configfs.h"
#include "tests/ring/daemon.h"

namespace ballast::ring_test {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t most_commands = 4096;
// CMDR_OFF of the kernel.
constexpr std::size_t ring_offset = sizeof(abi::tcmu_mailbox);

constexpr std::size_t round_up(std::size_t value, std::size_t to) {
  return (value + to - 1) / to * to;
}

std::atomic<unsigned> next_uio{0};

// A CDB of variable length has as many bytes as it says itself, and the kernel makes room for them
// (scsi_command_size()). libtcmu relies on that when it copies the CDB.
std::size_t cdb_room(std::span<const std::uint8_t> cdb) {
  const bool is_variable = cdb.size() >= 8 && cdb[0] == 0x7f;
  return round_up(std::max(cdb.size(), is_variable ? std::size_t{8} + cdb[7] : 0), 8);
}

}  // namespace

Lun::Lun(const LunOptions& options) : options_{options} {
  data_offset_ = round_up(options.ring_bytes, page);
  mapping_size_ = data_offset_ + options.data_pages * page;
  void* const memory =
      ::mmap(nullptr, mapping_size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  BALLAST_ASSERT(memory != MAP_FAILED);
  mapping_ = static_cast<std::byte*>(memory);
  mailbox_ = new (memory) abi::tcmu_mailbox{};
  mailbox_->version = abi::TCMU_MAILBOX_VERSION;
  mailbox_->flags = options.flags;
  mailbox_->cmdr_off = ring_offset;
  mailbox_->cmdr_size = static_cast<std::uint32_t>(data_offset_ - ring_offset);
  event_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  for (std::size_t i = most_commands; i-- > 0;) {
    free_ids_.push_back(static_cast<std::uint16_t>(i));
  }
  for (std::size_t i = options.data_pages; i-- > 0;) {
    free_pages_.push_back(static_cast<std::uint32_t>(i));
  }
  if (options.scatter) {
    std::mt19937_64 random{options.seed};
    std::shuffle(free_pages_.begin(), free_pages_.end(), random);
  }
}

std::unique_ptr<Lun> Lun::add(const std::string& config, const LunOptions& options) {
  std::unique_ptr<Lun> lun{new Lun{options}};
  return lun->start(config) ? std::move(lun) : nullptr;
}

bool Lun::start(const std::string& config) {
  device_ = std::make_unique<abi::tcmu_device>();
  device_->mapping = {mapping_, mapping_size_};
  device_->event_fd = event_fd_;
  device_->cmd_tail = mailbox_->cmd_tail;
  device_->cfgstring = "ballast/" + config;
  device_->uio_name = options_.name.empty() ? "ring" + std::to_string(next_uio++) : options_.name;
  if (options_.in_configfs) {
    add_to_configfs(device_->uio_name);
  }
  device_->num_lbas = options_.size / options_.block_size;
  device_->block_size = options_.block_size;
  device_->max_xfer_len = options_.max_transfer_blocks;
  device_->unit_serial = options_.unit_serial;
  device_->command_timeout = options_.command_timeout;
  device_->doorbell = [](void* lun) { static_cast<Lun*>(lun)->doorbell(); };
  device_->lun = this;
  set_main_loop_depth(options_.at_start ? 0 : 1);
  const int opened = handler().open(device_.get(), false);
  set_main_loop_depth(1);
  if (opened != 0) {
    return false;
  }
  BALLAST_ASSERT(::pthread_create(&cmdproc_, nullptr, &cmdproc, device_.get()) == 0);
  running_ = true;
  return true;
}

Lun::~Lun() {
  (void)remove();
  ::munmap(mapping_, mapping_size_);
  ::close(event_fd_);
}

void Lun::set_attribute(const char* name, int value) {
  ring_test::set_attribute(device_->uio_name, name, value);
}

int Lun::attribute(const char* name) const {
  return ring_test::attribute(device_->uio_name, name);
}

bool Lun::remove() {
  if (running_) {
    running_ = false;
    ::pthread_cancel(cmdproc_);
    void* result = nullptr;
    ::pthread_join(cmdproc_, &result);
    BALLAST_ASSERT(result == PTHREAD_CANCELED);
    handler().close(device_.get());
  }
  return outstanding() == 0;
}

void* Lun::place(std::uint32_t offset) const {
  return mapping_ + ring_offset + offset;
}

// Room for an entry of `length` bytes at the head, behind a pad if it does not fit before the end.
bool Lun::reserve(std::size_t length) {
  const std::size_t size = mailbox_->cmdr_size;
  const std::size_t head = mailbox_->cmd_head;
  const std::size_t tail = cleaned_;
  const std::size_t to_end = size - head;
  const std::size_t needed = to_end < length ? to_end + length : length;
  const std::size_t used = head >= tail ? head - tail : size - tail + head;
  if (size - used <= needed) {
    return false;
  }
  if (to_end < length) {
    auto* const pad = static_cast<abi::tcmu_cmd_entry_hdr*>(place(mailbox_->cmd_head));
    *pad = {};
    pad->len_op = static_cast<std::uint32_t>(to_end) | abi::TCMU_OP_PAD;
    __atomic_store_n(&mailbox_->cmd_head, 0U, __ATOMIC_RELEASE);
  }
  return true;
}

std::vector<iovec> Lun::take_pages(std::size_t bytes, std::vector<std::uint32_t>* pages) {
  std::vector<iovec> segments;
  pages->clear();
  for (std::size_t done = 0; done < bytes; done += page) {
    const std::uint32_t index = free_pages_.back();
    free_pages_.pop_back();
    const std::size_t length = std::min(page, bytes - done);
    if (!pages->empty() && pages->back() + 1 == index) {
      segments.back().iov_len += length;
    } else {
      segments.push_back(
          {reinterpret_cast<void*>(data_offset_ + std::size_t{index} * page), length});
    }
    pages->push_back(index);
  }
  return segments;
}

void Lun::copy(Pending& pending, std::size_t bytes, bool in) {
  for (std::size_t done = 0; done < bytes; done += page) {
    std::byte* const area =
        mapping_ + data_offset_ + std::size_t{pending.pages[done / page]} * page;
    std::byte* const memory = pending.data.data() + done;
    const std::size_t length = std::min(page, bytes - done);
    std::memcpy(in ? memory : area, in ? area : memory, length);
  }
}

bool Lun::place_command(std::span<const std::uint8_t> cdb, Direction direction,
                        std::span<std::byte> data, Done done) {
  const std::size_t page_count = round_up(data.size(), page) / page;
  const std::size_t header = sizeof(abi::tcmu_cmd_entry_hdr) + sizeof(abi::tcmu_cmd_req);
  const std::size_t largest =
      std::max(header + page_count * sizeof(iovec), abi::tcmu_cmd_entry_size) + cdb_room(cdb);
  if (free_ids_.empty() || free_pages_.size() < page_count || !reserve(largest)) {
    return false;
  }
  const std::uint16_t id = free_ids_.back();
  free_ids_.pop_back();
  last_id_ = id;
  if (id >= pending_.size()) {
    pending_.resize(std::size_t{id} + 1);
  }
  Pending& pending = pending_[id];
  pending.used = true;
  pending.direction = direction;
  pending.data = data;
  pending.done = done;
  const std::vector<iovec> segments = take_pages(data.size(), &pending.pages);
  last_segments_ = segments.size();
  if (direction == Direction::to_device) {
    copy(pending, data.size(), false);
  }
  const std::size_t base =
      std::max(header + segments.size() * sizeof(iovec), abi::tcmu_cmd_entry_size);
  const std::size_t length = base + cdb_room(cdb);
  const std::uint32_t head = mailbox_->cmd_head;
  std::memset(place(head), 0, length);
  auto* const entry = static_cast<abi::tcmu_cmd_entry_hdr*>(place(head));
  entry->len_op = static_cast<std::uint32_t>(length) | abi::TCMU_OP_CMD;
  entry->cmd_id = id;
  auto* const request = reinterpret_cast<abi::tcmu_cmd_req*>(entry + 1);
  request->iov_cnt = static_cast<std::uint32_t>(segments.size());
  request->cdb_off = ring_offset + head + base;
  std::copy(segments.begin(), segments.end(), reinterpret_cast<iovec*>(request + 1));
  std::memcpy(mapping_ + request->cdb_off, cdb.data(), cdb.size());
  ++outstanding_;
  __atomic_store_n(&mailbox_->cmd_head,
                   static_cast<std::uint32_t>((head + length) % mailbox_->cmdr_size),
                   __ATOMIC_RELEASE);
  return true;
}

bool Lun::queue(std::span<const std::uint8_t> cdb, Direction direction, std::span<std::byte> data,
                Done done) {
  const std::lock_guard guard{mutex_};
  return place_command(cdb, direction, data, done);
}

void Lun::raise() {
  const std::uint64_t one = 1;
  BALLAST_ASSERT(::write(event_fd_, &one, sizeof one) == sizeof one);
}

bool Lun::submit(std::span<const std::uint8_t> cdb, Direction direction, std::span<std::byte> data,
                 Done done) {
  if (!queue(cdb, direction, data, done)) {
    return false;
  }
  raise();
  return true;
}

void Lun::queue_task_management(std::span<const std::uint16_t> ids) {
  const std::lock_guard guard{mutex_};
  const auto length =
      static_cast<std::uint32_t>(round_up(sizeof(abi::tcmu_tmr_entry) + ids.size_bytes(), 8));
  BALLAST_ASSERT(reserve(length));
  const std::uint32_t head = mailbox_->cmd_head;
  std::memset(place(head), 0, length);
  auto* const notice = static_cast<abi::tcmu_tmr_entry*>(place(head));
  notice->hdr.len_op = length | abi::TCMU_OP_TMR;
  notice->cmd_cnt = static_cast<std::uint32_t>(ids.size());
  std::copy(ids.begin(), ids.end(), reinterpret_cast<std::uint16_t*>(notice + 1));
  __atomic_store_n(&mailbox_->cmd_head, (head + length) % mailbox_->cmdr_size, __ATOMIC_RELEASE);
}

// As tcmu_handle_completions: everything up to cmd_tail, whichever command it names.
void Lun::doorbell() {
  struct Finished {
    Done done;
    Answer answer;
  };
  std::vector<Finished> finished;
  {
    const std::lock_guard guard{mutex_};
    const std::uint32_t tail = __atomic_load_n(&mailbox_->cmd_tail, __ATOMIC_ACQUIRE);
    while (cleaned_ != tail) {
      const auto* const entry = static_cast<const abi::tcmu_cmd_entry_hdr*>(place(cleaned_));
      cleaned_ = static_cast<std::uint32_t>((cleaned_ + (entry->len_op & ~abi::TCMU_OP_MASK)) %
                                            mailbox_->cmdr_size);
      if ((entry->len_op & abi::TCMU_OP_MASK) != abi::TCMU_OP_CMD) {
        continue;
      }
      Pending& pending = pending_[entry->cmd_id];
      BALLAST_ASSERT(pending.used);  // answered once, and asked for
      const auto* const response = reinterpret_cast<const abi::tcmu_cmd_rsp*>(entry + 1);
      Answer answer;
      answer.status = response->scsi_status;
      BALLAST_ASSERT((entry->uflags & abi::TCMU_UFLAG_UNKNOWN_OP) == 0);
      if (answer.status == 0x02) {
        std::memcpy(answer.sense.data(), response->sense_buffer, answer.sense.size());
      } else if (pending.direction == Direction::from_device) {
        const bool is_short =
            (entry->uflags & abi::TCMU_UFLAG_READ_LEN) != 0 && response->read_len > 0;
        answer.transferred = is_short
                                 ? std::min<std::size_t>(response->read_len, pending.data.size())
                                 : pending.data.size();
        copy(pending, answer.transferred, true);
      }
      free_pages_.insert(free_pages_.end(), pending.pages.rbegin(), pending.pages.rend());
      free_ids_.push_back(entry->cmd_id);
      pending.used = false;
      --outstanding_;
      finished.push_back({pending.done, answer});
    }
    ++stats_.doorbells;
    stats_.empty_doorbells += finished.empty() ? 1U : 0U;
    stats_.answers += finished.size();
    stats_.largest_batch = std::max<std::uint64_t>(stats_.largest_batch, finished.size());
  }
  for (const Finished& one : finished) {
    if (one.done.run != nullptr) {
      one.done.run(one.done.context, one.answer);
    }
  }
}

Answer Lun::execute(std::span<const std::uint8_t> cdb, Direction direction,
                    std::span<std::byte> data) {
  struct Waiter {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    Answer answer;
  } waiter;
  const Done done{[](void* context, const Answer& answer) {
                    Waiter& w = *static_cast<Waiter*>(context);
                    const std::lock_guard guard{w.mutex};
                    w.answer = answer;
                    w.done = true;
                    w.changed.notify_one();
                  },
                  &waiter};
  BALLAST_ASSERT(submit(cdb, direction, data, done));
  std::unique_lock lock{waiter.mutex};
  waiter.changed.wait(lock, [&] { return waiter.done; });
  return waiter.answer;
}

int Lun::reconfigure_size(std::uint64_t size) {
  abi::tcmulib_cfg_info change{};
  change.type = abi::TCMULIB_CFG_DEV_SIZE;
  change.data.dev_size = size;
  const int result = handler().reconfig(device_.get(), &change);
  if (result == 0) {
    add_to_configfs(device_->uio_name);
    device_->num_lbas = size / options_.block_size;
  }
  return result;
}

int Lun::reconfigure_string(const std::string& config) {
  std::string text = "ballast/" + config;
  abi::tcmulib_cfg_info change{};
  change.type = abi::TCMULIB_CFG_DEV_CFGSTR;
  change.data.dev_cfgstring = text.data();
  return handler().reconfig(device_.get(), &change);
}

int Lun::reconfigure_write_cache(bool on) {
  abi::tcmulib_cfg_info change{};
  change.type = abi::TCMULIB_CFG_WRITE_CACHE;
  change.data.write_cache = on;
  return handler().reconfig(device_.get(), &change);
}

std::size_t Lun::outstanding() const {
  const std::lock_guard guard{mutex_};
  return outstanding_;
}

bool Lun::ring_is_empty() const {
  return __atomic_load_n(&mailbox_->cmd_head, __ATOMIC_ACQUIRE) ==
         __atomic_load_n(&mailbox_->cmd_tail, __ATOMIC_ACQUIRE);
}

HostStats Lun::stats() const {
  const std::lock_guard guard{mutex_};
  return stats_;
}

}  // namespace ballast::ring_test
