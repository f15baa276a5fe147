// SPDX-License-Identifier: Apache-2.0
// The host's functions of the daemon and of libtcmu that plugins call, and its cmdproc thread.
#include "tests/ring/daemon.h"

#include <dlfcn.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>

#include "lib/base/assert.h"

namespace ballast::ring_test {
namespace {

abi::tcmur_handler* the_handler = nullptr;
// Not destroyed: the plugin's log thread outlives the end of main().
std::mutex& log_mutex = *new std::mutex;
std::condition_variable& log_thawed = *new std::condition_variable;
bool log_frozen = false;
std::string& log_text = *new std::string;
bool log_to_terminal = false;
int main_loop_depth = 1;
std::string records;

[[gnu::format(printf, 2, 0)]] void log_line(const char* level, const char* format,
                                            std::va_list arguments) {
  char line[255];  // the daemon's limit
  std::vsnprintf(line, sizeof line, format, arguments);
  std::unique_lock guard{log_mutex};
  log_thawed.wait(guard, [] { return !log_frozen; });
  log_text += level;
  log_text += line;
  if (log_to_terminal) {
    std::fprintf(stderr, "%s%s", level, line);
  }
}

// The state of the thread "ballast/log" as the kernel has it; 0: there is none.
char log_writer_state() {
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::ifstream file{task.path() / "stat"};
    const std::string stat{std::istreambuf_iterator<char>{file}, {}};
    const std::size_t name = stat.find("(ballast/log) ");
    if (name != std::string::npos) {
      return stat[name + 14];
    }
  }
  return 0;
}

// Its name is how take_log() knows it. If it could not be started, there will be none.
void wait_for_log_writer() {
  for (int i = 0; i < 2000 && log_writer_state() == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
}

// It waits for lines, or there is none.
bool log_writer_sleeps() {
  const char state = log_writer_state();
  return state == 'S' || state == 0;
}

[[gnu::no_sanitize_thread]] std::size_t cdb_length(const std::uint8_t* cdb) {
  switch (cdb[0] >> 5) {
    case 0:
      return 6;
    case 1:
    case 2:
      return 10;
    case 3:
      return cdb[0] == 0x7f ? std::size_t{8} + cdb[7] : 0;
    case 4:
      return 16;
    case 5:
      return 12;
    default:
      return 0;
  }
}

std::uint8_t scsi_status(int status) {
  switch (status) {
    case abi::TCMU_STS_OK:
      return 0x00;
    case abi::TCMU_STS_NO_RESOURCE:
      return 0x28;
    case abi::TCMU_STS_BUSY:
      return 0x08;
    default:
      return 0x02;
  }
}

abi::tcmu_cmd_entry_hdr* entry_at(abi::tcmu_device* dev, std::uint32_t position) {
  return reinterpret_cast<abi::tcmu_cmd_entry_hdr*>(dev->mapping.data() + dev->mailbox()->cmdr_off +
                                                    position);
}

std::uint32_t step(abi::tcmu_device* dev, std::uint32_t position) {
  return (position + (entry_at(dev, position)->len_op & ~abi::TCMU_OP_MASK)) %
         dev->mailbox()->cmdr_size;
}

std::uint32_t head_of(abi::tcmu_device* dev) {
  return __atomic_load_n(&dev->mailbox()->cmd_head, __ATOMIC_ACQUIRE);
}

// Reads one command out of the ring, or returns null. What it throws away the plugin answers once
// it knows that it was read: from the event that was taken and the time that has passed, which
// ThreadSanitizer does not see.
[[gnu::no_sanitize_thread]] abi::tcmulib_cmd* next_command(abi::tcmu_device* dev) {
  for (;;) {
    const std::uint32_t position = dev->cmd_tail.load(std::memory_order_relaxed);
    if (position == head_of(dev)) {
      return nullptr;
    }
    abi::tcmu_cmd_entry_hdr* const header = entry_at(dev, position);
    const unsigned opcode = header->len_op & abi::TCMU_OP_MASK;
    const std::uint32_t next = step(dev, position);
    if (opcode == abi::TCMU_OP_CMD) {
      const auto* const request = reinterpret_cast<const abi::tcmu_cmd_req*>(header + 1);
      const auto* const segments = reinterpret_cast<const iovec*>(request + 1);
      const auto* const cdb =
          reinterpret_cast<const std::uint8_t*>(dev->mapping.data() + request->cdb_off);
      const std::size_t length = cdb_length(cdb);
      if (length > 0) {
        const std::size_t table = sizeof(iovec) * request->iov_cnt;
        auto* const cmd = static_cast<abi::tcmulib_cmd*>(
            std::malloc(sizeof(abi::tcmulib_cmd) + table + length + sizeof(abi::tcmur_cmd)));
        cmd->cmd_id = header->cmd_id;
        cmd->iov_cnt = request->iov_cnt;
        cmd->iovec = reinterpret_cast<iovec*>(cmd + 1);
        for (std::size_t i = 0; i < cmd->iov_cnt; ++i) {
          cmd->iovec[i].iov_base =
              dev->mapping.data() + reinterpret_cast<std::uintptr_t>(segments[i].iov_base);
          cmd->iovec[i].iov_len = segments[i].iov_len;
        }
        cmd->cdb = reinterpret_cast<std::uint8_t*>(cmd->iovec + cmd->iov_cnt);
        std::memcpy(cmd->cdb, cdb, length);
        // Not aligned, in the daemon neither.
        cmd->hm_private = cmd->cdb + length;
        abi::tcmur_cmd tcmur{};
        tcmur.lib_cmd = cmd;
        tcmur.start_time.tv_sec = dev->command_timeout > 0 ? 1 : 0;
        std::memcpy(cmd->hm_private, static_cast<const void*>(&tcmur), sizeof tcmur);
        dev->cmd_tail.store(next, std::memory_order_release);
        return cmd;
      }
    } else if (opcode != abi::TCMU_OP_PAD) {
      header->uflags |= abi::TCMU_UFLAG_UNKNOWN_OP;
    }
    dev->cmd_tail.store(next, std::memory_order_release);
  }
}

// Not noexcept, unlike tcmulib_processing_start: read(2) is where a cancellation may strike.
void read_event(abi::tcmu_device* dev) {
  std::uint64_t count = 0;
  while (::read(dev->event_fd, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace

abi::tcmur_handler& handler() {
  return *the_handler;
}

// Written after tcmu-runner's cmdproc thread: read the event, take all commands, sleep.
void* cmdproc(void* device) {
  auto* const dev = static_cast<abi::tcmu_device*>(device);
  for (;;) {
    read_event(dev);
    bool completed = false;
    while (abi::tcmulib_cmd* const cmd = next_command(dev)) {
      const int result =
          the_handler->handle_cmd(dev, static_cast<abi::tcmur_cmd*>(cmd->hm_private));
      if (result != abi::TCMU_STS_ASYNC_HANDLED) {
        abi::tcmulib_command_complete(dev, cmd, result);
        completed = true;
      }
    }
    if (completed) {
      abi::tcmulib_processing_complete(dev);
    }
    pollfd descriptor{.fd = dev->event_fd, .events = POLLIN, .revents = 0};
    ::ppoll(&descriptor, 1, nullptr, nullptr);  // where it is cancelled
  }
}

void set_main_loop_depth(int depth) {
  main_loop_depth = depth;
}

const std::string& records_folder() {
  return records;
}

abi::tcmur_handler& load_plugin(const char* path) {
  if (const char* const given = std::getenv("BALLAST_RECORDS"); given != nullptr) {
    records = given;
  } else {
    const char* const parent = std::getenv("TMPDIR");
    records = std::string{parent != nullptr ? parent : "/dev/shm"} + "/ballast-records-XXXXXX";
    BALLAST_ASSERT(::mkdtemp(records.data()) != nullptr);
    ::setenv("BALLAST_RECORDS", records.c_str(), 1);
    std::atexit([] {
      std::error_code ignored;
      std::filesystem::remove_all(records, ignored);
    });
  }
  ::setenv("BALLAST_SAVED_CONFIGURATION", "/nowhere", 1);
  log_to_terminal = std::getenv("BALLAST_RING_LOG") != nullptr;
  void* const library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "the plugin cannot be loaded: %s\n", ::dlerror());
    std::exit(1);
  }
  const auto init = reinterpret_cast<int (*)()>(::dlsym(library, "handler_init"));
  if (init == nullptr || init() != 0 || the_handler == nullptr) {
    std::fprintf(stderr, "%s has no handler_init, or it failed\n", path);
    std::exit(1);
  }
  wait_for_log_writer();
  return *the_handler;
}

std::string check_config(const std::string& config) {
  char* reason = nullptr;
  if (the_handler->check_config(config.c_str(), &reason)) {
    return {};
  }
  const std::string text = reason != nullptr ? reason : "unknown";
  std::free(reason);
  return text;
}

void freeze_log(bool frozen) {
  const std::lock_guard guard{log_mutex};
  log_frozen = frozen;
  log_thawed.notify_all();
}

// What the plugin has logged reaches us on a thread of its own: once that sleeps, all is here.
std::string take_log() {
  for (int asleep = 0; asleep < 3;) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
    asleep = log_writer_sleeps() ? asleep + 1 : 0;
  }
  const std::lock_guard guard{log_mutex};
  return std::exchange(log_text, {});
}

}  // namespace ballast::ring_test

// What the plugin looks up.
#pragma GCC visibility push(default)
// Found before GLib's own, which knows that no main loop runs here.
extern "C" int g_main_depth() noexcept {
  return ballast::ring_test::main_loop_depth;
}
namespace ballast::handler::abi {
extern "C" {

int tcmur_register_handler(tcmur_handler* handler) noexcept {
  ring_test::the_handler = handler;
  return 0;
}
void tcmur_dev_set_private(tcmu_device* dev, void* value) noexcept {
  dev->handler_private = value;
}
void* tcmur_dev_get_private(tcmu_device* dev) noexcept {
  return dev->handler_private;
}

void tcmulib_command_complete(tcmu_device* dev, tcmulib_cmd* cmd, int result) noexcept {
  tcmu_mailbox* const mailbox = dev->mailbox();
  std::uint32_t tail = mailbox->cmd_tail;
  while (tail != ring_test::head_of(dev) &&
         (ring_test::entry_at(dev, tail)->len_op & TCMU_OP_MASK) != TCMU_OP_CMD) {
    tail = ring_test::step(dev, tail);
  }
  // What is overwritten here the daemon has read: nothing in the daemon itself sees to that, and an
  // answer too many would run ahead of it.
  BALLAST_ASSERT(tail != dev->cmd_tail.load(std::memory_order_acquire));
  tcmu_cmd_entry_hdr* const header = ring_test::entry_at(dev, tail);
  header->cmd_id = cmd->cmd_id;
  auto* const answer = reinterpret_cast<tcmu_cmd_rsp*>(header + 1);
  answer->scsi_status = ring_test::scsi_status(result);
  if (answer->scsi_status == 0x02) {
    std::memcpy(answer->sense_buffer, cmd->sense_buf, SENSE_BUFFERSIZE);
  }
  __atomic_store_n(&mailbox->cmd_tail, ring_test::step(dev, tail), __ATOMIC_RELEASE);
  std::free(cmd);
}

void tcmulib_processing_complete(tcmu_device* dev) noexcept {
  dev->doorbell(dev->lun);
}

void tcmulib_processing_start(tcmu_device* dev) noexcept {
  ring_test::read_event(dev);
}

char* tcmu_dev_get_cfgstring(tcmu_device* dev) noexcept {
  return dev->cfgstring.data();
}
std::uint64_t tcmu_dev_get_num_lbas(tcmu_device* dev) noexcept {
  return dev->num_lbas;
}
std::uint32_t tcmu_dev_get_block_size(tcmu_device* dev) noexcept {
  return dev->block_size;
}
std::uint32_t tcmu_dev_get_max_xfer_len(tcmu_device* dev) noexcept {
  return dev->max_xfer_len;
}
int tcmu_dev_get_fd(tcmu_device* dev) noexcept {
  return dev->event_fd;
}
const char* tcmu_dev_get_uio_name(tcmu_device* dev) noexcept {
  return dev->uio_name.c_str();
}
char* tcmu_dev_get_memory_info(tcmu_device* dev, void** base, std::size_t* length,
                               off_t* offset) noexcept {
  *base = dev->mapping.data();
  *length = dev->mapping.size();
  *offset = 0;
  return ::strdup("/dev/uio-of-the-host");
}
char* tcmu_cfgfs_dev_get_wwn(tcmu_device* dev) noexcept {
  return dev->unit_serial != nullptr ? ::strdup(dev->unit_serial) : nullptr;
}

#define BALLAST_LOG_FUNCTION(name, level)                                       \
  void name(tcmu_device*, const char*, int, const char* format, ...) noexcept { \
    std::va_list arguments;                                                     \
    va_start(arguments, format);                                                \
    ring_test::log_line(level, format, arguments);                              \
    va_end(arguments);                                                          \
  }
BALLAST_LOG_FUNCTION(tcmu_err_message, "error: ")
BALLAST_LOG_FUNCTION(tcmu_warn_message, "warning: ")
BALLAST_LOG_FUNCTION(tcmu_info_message, "info: ")
BALLAST_LOG_FUNCTION(tcmu_dbg_message, "debug: ")

}  // extern "C"
}  // namespace ballast::handler::abi
#pragma GCC visibility pop
