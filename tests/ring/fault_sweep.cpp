// SPDX-License-Identifier: Apache-2.0
// Lets each thing fail that can, at each place. A LUN's whole life (life.h) runs again and again,
// each time in a process of its own. Each time the next allocation, descriptor, thread, mapping or
// operation on the store that the plugin asks for fails, until a life ends before that. Whatever
// fails, nothing may abort or hang: the LUN or the command must be refused with a message, or
// served. Then the LUN is made anew, and must have what was answered GOOD.
//
// With `log` the LUN has a write log. All lives have the same store and log then, so that each
// opens what the one before left, and in each the LUN grows.
//
// usage: fault_sweep plain|log [KIND [FIRST [once|on]]]
#include <dlfcn.h>
#include <fcntl.h>
#include <liburing.h>
#include <link.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "lib/base/assert.h"
#include "tests/ring/configfs.h"
#include "tests/ring/life.h"
#include "tests/ring/support.h"

using namespace ballast::ring_test;

namespace {

enum class Kind : int { memory, eventfd, thread, mapping, file, uring, store, count };
constexpr std::uint64_t first_size = std::uint64_t{64} << 20;
constexpr std::uint64_t growth = 1 << 20;  // of a life
constexpr const char* kind_names[] = {"memory", "eventfd", "thread", "mapping",
                                      "file",   "uring",   "store"};

struct Range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};
constexpr std::size_t most_ranges = 16;
Range ranges[most_ranges];  // code of the plugin, of liburing and of fmt
std::size_t range_count = 0;

std::atomic<bool> armed{false};
Kind refused = Kind::count;
bool from_then_on = false;
long refuse_at = 0;
std::atomic<long> asked{0};

int note_range(dl_phdr_info* info, std::size_t, void*) {
  const std::string_view name = info->dlpi_name;
  if (name.find("handler_ballast") == name.npos && name.find("liburing") == name.npos &&
      name.find("libfmt") == name.npos) {
    return 0;
  }
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = info->dlpi_phdr[i];
    if (part.p_type == PT_LOAD && (part.p_flags & PF_X) != 0 && range_count < most_ranges) {
      ranges[range_count++] = {info->dlpi_addr + part.p_vaddr,
                               info->dlpi_addr + part.p_vaddr + part.p_memsz};
    }
  }
  return 0;
}

bool refuse(Kind kind, const void* caller) {
  if (!armed.load(std::memory_order_relaxed) || kind != refused) {
    return false;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(caller);
  for (std::size_t i = 0; i < range_count; ++i) {
    if (address >= ranges[i].begin && address < ranges[i].end) {
      const long number = asked.fetch_add(1) + 1;
      return number == refuse_at || (from_then_on && number > refuse_at);
    }
  }
  return false;
}

void* liburing() {
  static void* const library = ::dlopen("liburing.so.2", RTLD_NOW | RTLD_NOLOAD);
  return library;
}

// A descriptor, or a number of a registered file, that there is not: the kernel answers EBADF.
constexpr int no_file = 1 << 30;

// Reads of an eventfd are not.
bool is_for_store(const io_uring_sqe& sqe) {
  constexpr unsigned least = 512;
  switch (sqe.opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READ_FIXED:
    case IORING_OP_WRITE_FIXED:
      return sqe.len >= least;
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
    case IORING_OP_FSYNC:
    case IORING_OP_FALLOCATE:
      return true;
    default:
      return false;
  }
}

long fail_with(int error) {
  errno = error;
  return -1;
}

}  // namespace

// What the plugin finds instead of the libraries' own.
#pragma GCC visibility push(default)
void* operator new(std::size_t size) {
  void* const memory =
      refuse(Kind::memory, __builtin_return_address(0)) ? nullptr : std::malloc(size);
  if (memory == nullptr) {
    throw std::bad_alloc{};
  }
  return memory;
}
void* operator new[](std::size_t size) {
  void* const memory =
      refuse(Kind::memory, __builtin_return_address(0)) ? nullptr : std::malloc(size);
  if (memory == nullptr) {
    throw std::bad_alloc{};
  }
  return memory;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return refuse(Kind::memory, __builtin_return_address(0)) ? nullptr : std::malloc(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return refuse(Kind::memory, __builtin_return_address(0)) ? nullptr : std::malloc(size);
}
void* operator new(std::size_t size, std::align_val_t align, const std::nothrow_t&) noexcept {
  const auto to = static_cast<std::size_t>(align);
  return refuse(Kind::memory, __builtin_return_address(0))
             ? nullptr
             : std::aligned_alloc(to, (size + to - 1) / to * to);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

extern "C" {
int eventfd(unsigned count, int flags) noexcept {
  if (refuse(Kind::eventfd, __builtin_return_address(0))) {
    errno = EMFILE;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_eventfd2, count, flags));
}
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*entry)(void*),
                   void* argument) noexcept {
  static const auto real =
      reinterpret_cast<decltype(&pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
  return refuse(Kind::thread, __builtin_return_address(0))
             ? EAGAIN
             : real(thread, attributes, entry, argument);
}
void* mmap(void* at, std::size_t length, int protection, int flags, int fd, off_t offset) noexcept {
  if (refuse(Kind::mapping, __builtin_return_address(0))) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return reinterpret_cast<void*>(::syscall(SYS_mmap, at, length, protection, flags, fd, offset));
}
int io_uring_queue_init_params(unsigned entries, io_uring* ring, io_uring_params* parameters) {
  static const auto real = reinterpret_cast<decltype(&io_uring_queue_init_params)>(
      ::dlsym(liburing(), "io_uring_queue_init_params"));
  return refuse(Kind::uring, __builtin_return_address(0)) ? -ENOMEM
                                                          : real(entries, ring, parameters);
}
int io_uring_submit(io_uring* ring) {
  static const auto real =
      reinterpret_cast<decltype(&io_uring_submit)>(::dlsym(liburing(), "io_uring_submit"));
  for (unsigned at = ring->sq.sqe_head; at != ring->sq.sqe_tail; ++at) {
    io_uring_sqe& sqe = ring->sq.sqes[at & *ring->sq.kring_mask];
    if (is_for_store(sqe) && refuse(Kind::store, __builtin_return_address(0))) {
      sqe.fd = no_file;
    }
  }
  return real(ring);
}
ssize_t pread(int fd, void* into, std::size_t length, off_t offset) {
  return refuse(Kind::store, __builtin_return_address(0))
             ? fail_with(EIO)
             : ::syscall(SYS_pread64, fd, into, length, offset);
}
ssize_t pwrite(int fd, const void* from, std::size_t length, off_t offset) {
  return refuse(Kind::store, __builtin_return_address(0))
             ? fail_with(EIO)
             : ::syscall(SYS_pwrite64, fd, from, length, offset);
}
int fsync(int fd) {
  return static_cast<int>(
      refuse(Kind::store, __builtin_return_address(0)) ? fail_with(EIO) : ::syscall(SYS_fsync, fd));
}
int ftruncate(int fd, off_t size) noexcept {
  return static_cast<int>(refuse(Kind::store, __builtin_return_address(0))
                              ? fail_with(EIO)
                              : ::syscall(SYS_ftruncate, fd, size));
}
}
#pragma GCC visibility pop

namespace {

// The LUN of all lives.
struct Site {
  std::string config;
  std::uint64_t* size = nullptr;  // shared by the lives
  bool at_start = false;          // LunOptions
};

enum class State { ready, given_up, neither };

// A write log is opened in the background, where it may be refused with a sentence. For what may
// come back, as memory and descriptors, Ballast waits, and says so.
State state_of(Lun& lun) {
  constexpr int usual = 3000;
  constexpr int until_it_waits = 300;
  const bool may_wait = armed && from_then_on;
  State state = State::neither;
  std::string said;
  (void)eventually(
      [&] {
        const Answer answer = lun.execute(test_unit_ready());
        said += take_log();
        if (answer.becoming_ready()) {
          return false;
        }
        if (!answer.refused_for_good()) {
          state = State::ready;
        } else if (said.find("cannot be opened") != std::string::npos) {
          state = State::given_up;
        }
        return state != State::neither;
      },
      may_wait ? until_it_waits : usual);
  const bool waits = said.find("out of memory") != std::string::npos ||
                     said.find("tries again") != std::string::npos;
  return state == State::neither && may_wait && waits ? State::given_up : state;
}

// Everything a LUN does, once. Whether it was refused is its own business; a sentence is not.
const char* life(const Site& site) {
  refuse_open = [](const void* caller) { return refuse(Kind::file, caller); };
  const std::string& config = site.config;
  LunOptions options;
  options.size = *site.size;
  options.at_start = site.at_start;
  armed = true;
  auto lun = Lun::add(config, options);
  if (lun == nullptr) {
    armed = false;
    return take_log().find("cannot be opened") == std::string::npos ? "refused without a sentence"
                                                                    : nullptr;
  }
  const State state = state_of(*lun);
  if (state == State::neither) {
    return "the LUN is becoming ready for ever";
  }
  Life commands;
  if (const char* const wrong = commands.run(*lun)) {
    return wrong;
  }
  if (state == State::ready && lun->reconfigure_size(*site.size + growth) == 0) {
    *site.size += growth;
  }
  (void)lun->reconfigure_string(config + ";slow=2s");
  const bool empty = lun->remove();
  armed = false;
  if (!empty) {
    return "a command was not answered at removal";
  }
  // And the next one finds a sound process.
  lun.reset();
  options.size = *site.size;
  lun = Lun::add(config, options);
  if (lun == nullptr || state_of(*lun) != State::ready ||
      lun->execute(test_unit_ready()).status != 0) {
    std::fprintf(stderr, "%s\n", take_log().c_str());
    return "the next LUN does not work";
  }
  if (const std::string wrong = commands.compare(*lun); !wrong.empty()) {
    std::fprintf(stderr, "%s\n%s\n", take_log().c_str(), wrong.c_str());
    return "the next LUN has not what was answered GOOD";
  }
  return nullptr;
}

// Its name is how take_log() knows it.
void wait_for_log_writer() {
  for (int i = 0; i < 2000 && !log_writer_is_there(); ++i) {
    ::usleep(1000);
  }
}

// In a process of its own. 0: lived; 1: it was not asked so often; else what went wrong was said.
int child(const char* plugin, const Site& site) {
  ::alarm(60);
  load_plugin(plugin);
  wait_for_log_writer();
  ::dl_iterate_phdr(&note_range, nullptr);
  const char* const wrong = life(site);
  if (wrong != nullptr) {
    std::fprintf(stderr, "%s\n", wrong);
    return 2;
  }
  return asked.load() < refuse_at ? 1 : 0;
}

enum class Outcome { lived, over, failed };

class Sweep {
 public:
  Sweep(const char* plugin, bool with_log) : plugin_{plugin}, with_log_{with_log} {
    void* const memory =
        ::mmap(nullptr, sizeof *size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BALLAST_ASSERT(memory != MAP_FAILED);
    size_ = new (memory) std::uint64_t{first_size};
  }
  Outcome try_one(Kind kind, long number, bool on);
  // Returns how many lives went wrong.
  long run(Kind kind, bool on);

 private:
  Outcome try_in(const Folder& folder, Kind kind, long number, bool on) const;

  const char* const plugin_;
  const bool with_log_;
  const Folder logged_{"/var/tmp"};
  std::uint64_t* size_;
};

Outcome Sweep::try_one(Kind kind, long number, bool on) {
  if (with_log_) {
    return try_in(logged_, kind, number, on);
  }
  *size_ = first_size;
  return try_in(Folder{"/dev/shm"}, kind, number, on);
}

Outcome Sweep::try_in(const Folder& folder, Kind kind, long number, bool on) const {
  const pid_t process = ::fork();
  if (process == 0) {
    refused = kind;
    refuse_at = number;
    from_then_on = on;
    ::setenv("BALLAST_RECORDS", folder.file("").c_str(), 1);
    std::string config = "file=" + folder.file("vol.raw");
    if (with_log_) {
      config += ";log=" + folder.file("vol.log") + ";log_size=256MiB";
    }
    ::_exit(child(plugin_,
                  {.config = config, .size = size_, .at_start = with_log_ && kind != Kind::count}));
  }
  int status = 0;
  (void)::waitpid(process, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
    return WEXITSTATUS(status) == 0 ? Outcome::lived : Outcome::over;
  }
  std::fprintf(stderr, "%s %s %ld %s: %s %d\n", with_log_ ? "log" : "plain",
               kind_names[static_cast<int>(kind)], number, on ? "on" : "once",
               WIFEXITED(status) ? "exit" : "signal",
               WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  return Outcome::failed;
}

// Number by number, then in growing steps: what comes late in a life is much of the same.
long Sweep::run(Kind kind, bool on) {
  long failed = 0;
  long lives = 0;
  for (long number = 1; number < 100000; number += 1 + number / 64) {
    const Outcome outcome = try_one(kind, number, on);
    if (outcome == Outcome::over) {
      break;
    }
    ++lives;
    failed += outcome == Outcome::failed ? 1 : 0;
  }
  std::printf("%-5s %-8s %s: %ld lives, %ld went wrong\n", with_log_ ? "log" : "plain",
              kind_names[static_cast<int>(kind)], on ? "from then on" : "once", lives, failed);
  std::fflush(stdout);
  return failed;
}

// Kind::count: there is no such kind.
Kind kind_of(std::string_view name) {
  for (int kind = 0; kind < static_cast<int>(Kind::count); ++kind) {
    if (name == kind_names[kind]) {
      return static_cast<Kind>(kind);
    }
  }
  return Kind::count;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string_view lun = count > 1 ? arguments[1] : "";
  const Kind only = count > 2 ? kind_of(arguments[2]) : Kind::count;
  if ((lun != "plain" && lun != "log") || (count > 2 && only == Kind::count)) {
    std::fprintf(stderr, "usage: fault_sweep plain|log [KIND [FIRST [once|on]]]\n");
    return 2;
  }
  if (lun == "log" && (!has_direct_io("/var/tmp") || !has_attributes("/var/tmp"))) {
    std::printf("/var/tmp has no O_DIRECT or no extended attributes\n");
    return 77;
  }
  const char* plugin = std::getenv("BALLAST_PLUGIN");
  Sweep sweep{plugin != nullptr ? plugin : "build/handler_ballast.so", lun == "log"};
  // This life makes the log.
  if (sweep.try_one(Kind::count, 0, false) != Outcome::lived) {
    return 1;
  }
  if (count > 3) {
    const bool on = count > 4 && std::string_view{arguments[4]} == "on";
    return sweep.try_one(only, std::atol(arguments[3]), on) == Outcome::failed ? 1 : 0;
  }
  long failed = 0;
  for (int kind = 0; kind < static_cast<int>(Kind::count); ++kind) {
    if (count <= 2 || only == static_cast<Kind>(kind)) {
      failed += sweep.run(static_cast<Kind>(kind), false);
      failed += sweep.run(static_cast<Kind>(kind), true);
    }
  }
  return failed == 0 ? 0 : 1;
}
