// SPDX-License-Identifier: Apache-2.0
// Lets each thing fail that can, at each place. A LUN's whole life (life.h) runs again and again,
// each time in a process of its own. Each time the next allocation, descriptor, thread, mapping,
// operation on the store or other system call about a file that the plugin asks for fails, until a
// life ends before that; what comes late is much of the same, so there the steps are longer. Then
// each place does: the first time that the plugin asks by a chain of calls that is new. Whatever
// fails, nothing may abort or hang: the LUN or the command must be refused with a message, or
// served. Then the LUN is made anew, and must have what was answered GOOD. What is left when it is
// gone, in memory and descriptors, must not be more than after a life in which nothing failed.
//
// With `log` the LUN has a write log. All lives have the same store and log then, so that each
// opens what the one before left, and in each the LUN grows. With `load` things fail while the
// daemon loads the plugin, and not later: the LUN must be served.
//
// BALLAST_SWEEP_EVERY=N: from the 16th on, only each Nth place.
//
// usage: fault_sweep plain|log|load [KIND [once|on|place [NUMBER]]]
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <liburing.h>
#include <link.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <new>
#include <string>
#include <string_view>

#include "lib/base/assert.h"
#include "lib/base/guarded_exit.h"
#include "tests/ring/configfs.h"
#include "tests/ring/life.h"
#include "tests/ring/support.h"

using namespace ballast::ring_test;

namespace {

enum class Kind : int { memory, eventfd, thread, mapping, file, uring, store, call, count };
constexpr std::uint64_t first_size = std::uint64_t{64} << 20;
constexpr std::uint64_t growth = 1 << 20;  // of a life
constexpr const char* kind_names[] = {"memory", "eventfd", "thread", "mapping",
                                      "file",   "uring",   "store",  "call"};

enum class Part : int { plain, log, load, count };
constexpr const char* part_names[] = {"plain", "log", "load"};

struct Range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};
constexpr std::size_t most_ranges = 16;
Range ranges[most_ranges];  // code of the plugin, of liburing and of fmt
std::size_t range_count = 0;

std::atomic<bool> armed{false};
Kind refused = Kind::count;
enum class How : int { once, on, place, count };
constexpr const char* how_names[] = {"once", "on", "place"};
How how = How::once;
long refuse_at = 0;
std::atomic<long> asked{0};  // how often; or by how many chains of calls

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

bool is_the_plugins(const void* code) {
  const auto address = reinterpret_cast<std::uintptr_t>(code);
  return std::any_of(ranges, ranges + range_count, [address](const Range& range) {
    return address >= range.begin && address < range.end;
  });
}

// Whether nobody has asked by this chain of calls before.
bool is_new_place() {
  static std::mutex mutex;
  static std::size_t known[8192];
  static std::size_t count = 0;
  void* calls[24];
  const int depth = ::backtrace(calls, static_cast<int>(std::size(calls)));
  std::size_t chain = 0;
  for (int i = 0; i < depth; ++i) {
    if (is_the_plugins(calls[i])) {
      chain = chain * 31 + reinterpret_cast<std::uintptr_t>(calls[i]);
    }
  }
  const std::lock_guard guard{mutex};
  if (std::find(known, known + count, chain) != known + count || count == std::size(known)) {
    return false;
  }
  known[count++] = chain;
  return true;
}

bool refuse(Kind kind, const void* caller) {
  if (!armed.load(std::memory_order_relaxed) || kind != refused || !is_the_plugins(caller) ||
      (how == How::place && !is_new_place())) {
    return false;
  }
  const long number = asked.fetch_add(1) + 1;
  return number == refuse_at || (how == How::on && number > refuse_at);
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

// A system call, for the plugin. What the caller gets of it fits its own type.
struct Returned {
  long value;
  template <class Integer>
  operator Integer() const {  // NOLINT
    return static_cast<Integer>(value);
  }
};
template <class... Arguments>
Returned unless_refused(Kind kind, const void* caller, long number, Arguments... arguments) {
  return {refuse(kind, caller) ? fail_with(EIO) : ::syscall(number, arguments...)};
}

// In a file system: an eventfd never fails.
bool is_file(int fd) {
  struct stat of {};
  return ::syscall(SYS_fstat, fd, &of) == 0 && (of.st_mode & S_IFMT) != 0 && !S_ISSOCK(of.st_mode);
}

std::atomic<long> allocations{0};  // that are not given back yet

// `align` 0: the usual one. Null: there is no memory, or this is the allocation that fails.
void* allocate(std::size_t size, std::size_t align, const void* caller) {
  if (refuse(Kind::memory, caller)) {
    return nullptr;
  }
  void* const memory = align == 0 ? std::malloc(size)
                                  : std::aligned_alloc(align, (size + align - 1) / align * align);
  allocations += memory != nullptr ? 1 : 0;
  return memory;
}
void* or_throw(void* memory) {
  return memory != nullptr ? memory : throw std::bad_alloc{};
}
void give_back(void* memory) {
  allocations -= memory != nullptr ? 1 : 0;
  std::free(memory);
}

}  // namespace

// What the plugin finds instead of the libraries' own.
#pragma GCC visibility push(default)
void* operator new(std::size_t size) {
  return or_throw(allocate(size, 0, __builtin_return_address(0)));
}
void* operator new[](std::size_t size) {
  return or_throw(allocate(size, 0, __builtin_return_address(0)));
}
void* operator new(std::size_t size, std::align_val_t align) {
  return or_throw(allocate(size, static_cast<std::size_t>(align), __builtin_return_address(0)));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, 0, __builtin_return_address(0));
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, 0, __builtin_return_address(0));
}
void* operator new(std::size_t size, std::align_val_t align, const std::nothrow_t&) noexcept {
  return allocate(size, static_cast<std::size_t>(align), __builtin_return_address(0));
}
void operator delete(void* memory, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory) noexcept {
  give_back(memory);
}
void operator delete[](void* memory) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  give_back(memory);
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
  const void* const caller = __builtin_return_address(0);
  return unless_refused(Kind::store, caller, SYS_pread64, fd, into, length, offset);
}
ssize_t pwrite(int fd, const void* from, std::size_t length, off_t offset) {
  const void* const caller = __builtin_return_address(0);
  return unless_refused(Kind::store, caller, SYS_pwrite64, fd, from, length, offset);
}
int fsync(int fd) {
  return unless_refused(Kind::store, __builtin_return_address(0), SYS_fsync, fd);
}
int ftruncate(int fd, off_t size) noexcept {
  return unless_refused(Kind::store, __builtin_return_address(0), SYS_ftruncate, fd, size);
}
int fallocate(int fd, int mode, off_t offset, off_t length) {
  const void* const caller = __builtin_return_address(0);
  return unless_refused(Kind::store, caller, SYS_fallocate, fd, mode, offset, length);
}
int openat(int folder, const char* name, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  const void* const caller = __builtin_return_address(0);
  return unless_refused(Kind::file, caller, SYS_openat, folder, name, flags, mode);
}
ssize_t read(int fd, void* into, std::size_t length) {
  const void* const caller = is_file(fd) ? __builtin_return_address(0) : nullptr;
  return unless_refused(Kind::call, caller, SYS_read, fd, into, length);
}
ssize_t write(int fd, const void* from, std::size_t length) {
  const void* const caller = is_file(fd) ? __builtin_return_address(0) : nullptr;
  return unless_refused(Kind::call, caller, SYS_write, fd, from, length);
}
int fstat(int fd, struct stat* to) noexcept {
  return unless_refused(Kind::call, __builtin_return_address(0), SYS_fstat, fd, to);
}
int fcntl(int fd, int command, ...) {
  std::va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  return unless_refused(Kind::call, __builtin_return_address(0), SYS_fcntl, fd, command, argument);
}
off_t lseek(int fd, off_t offset, int whence) noexcept {
  return unless_refused(Kind::call, __builtin_return_address(0), SYS_lseek, fd, offset, whence);
}
int rename(const char* from, const char* to) noexcept {
  return unless_refused(Kind::call, __builtin_return_address(0), SYS_rename, from, to);
}
int unlinkat(int folder, const char* name, int flags) noexcept {
  const void* const caller = __builtin_return_address(0);
  return unless_refused(Kind::call, caller, SYS_unlinkat, folder, name, flags);
}
ssize_t fgetxattr(int fd, const char* name, void* into, std::size_t size) noexcept {
  const void* const caller = __builtin_return_address(0);
  return unless_refused(Kind::call, caller, SYS_fgetxattr, fd, name, into, size);
}
int fsetxattr(int fd, const char* name, const void* value, std::size_t size, int flags) noexcept {
  const void* const caller = __builtin_return_address(0);
  return unless_refused(Kind::call, caller, SYS_fsetxattr, fd, name, value, size, flags);
}
}
#pragma GCC visibility pop

namespace {

// What a process has when its LUNs are gone.
struct Left {
  long allocations = 0;
  long descriptors = 0;
};

// What the lives share.
struct Shared {
  std::uint64_t size = first_size;
  Left usual;  // of a life in which nothing failed
};

// The LUN of all lives.
struct Site {
  Part part = Part::plain;
  std::string config;
  Shared* shared = nullptr;
  bool at_start = false;  // LunOptions
};

Left count_left() {
  take_log();
  namespace fs = std::filesystem;
  const long descriptors = std::distance(fs::directory_iterator{"/proc/self/fd"}, {});
  return {.allocations = allocations, .descriptors = descriptors};
}

enum class State { ready, given_up, neither };

// A write log is opened in the background, where it may be refused with a sentence. For what may
// come back, as memory and descriptors, Ballast waits, and says so.
State state_of(Lun& lun) {
  constexpr int usual = 3000;
  constexpr int until_it_waits = 300;
  const bool may_wait = armed && how == How::on;
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

// A thread that opened a store may still be ending. Returns what is wrong.
const char* look_for_more_than(const Left& usual) {
  Left left;
  const bool no_more = eventually([&] {
    left = count_left();
    return left.allocations <= usual.allocations && left.descriptors <= usual.descriptors;
  });
  if (no_more) {
    return nullptr;
  }
  std::fprintf(stderr, "%ld allocations, usually %ld; %ld descriptors, usually %ld\n",
               left.allocations, usual.allocations, left.descriptors, usual.descriptors);
  return "something is left when the LUNs are gone";
}

// Everything a LUN does, once. Whether it was refused is its own business; a sentence is not.
const char* life(const Site& site) {
  refuse_open = [](const void* caller) { return refuse(Kind::file, caller); };
  const std::string& config = site.config;
  LunOptions options;
  options.size = site.shared->size;
  options.at_start = site.at_start;
  armed = site.part != Part::load;
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
  if (state == State::ready && lun->reconfigure_size(site.shared->size + growth) == 0) {
    site.shared->size += growth;
  }
  (void)lun->reconfigure_string(config + ";slow=2s");
  const bool empty = lun->remove();
  armed = false;
  if (!empty) {
    return "a command was not answered at removal";
  }
  // And the next one finds a sound process.
  lun.reset();
  options.size = site.shared->size;
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

// Returns what is wrong.
const char* load(const char* plugin, Part part) {
  // Its code is there before anything in it runs.
  if (::dlopen(plugin, RTLD_NOW | RTLD_LOCAL) == nullptr) {
    return ::dlerror();
  }
  ::dl_iterate_phdr(&note_range, nullptr);
  armed = part == Part::load;
  load_plugin(plugin);
  armed = false;
  const bool struck = part == Part::load && asked >= refuse_at;
  if (struck && refused == Kind::thread &&
      take_log().find("cannot start the thread") == std::string::npos) {
    return "loaded without a thread, and without a sentence about it";
  }
  return nullptr;
}

// How a life ends, and with that status its process. Over: it was not asked so often.
enum class Outcome : int { lived = 0, failed = 2, over = 3 };

// In a process of its own.
Outcome child(const char* plugin, const Site& site) {
  ::alarm(60);
  const char* wrong = load(plugin, site.part);
  if (wrong == nullptr) {
    wrong = life(site);
  }
  if (refused == Kind::count) {
    site.shared->usual = count_left();
  }
  if (wrong == nullptr) {
    wrong = look_for_more_than(site.shared->usual);
  }
  if (wrong != nullptr) {
    std::fprintf(stderr, "%s\n", wrong);
    return Outcome::failed;
  }
  return asked.load() < refuse_at ? Outcome::over : Outcome::lived;
}

// How far the next place is. What comes late in a life is much of the same; and most of what
// loading asks for are pieces of one text, that which describes the keys.
long step_from(long number, Part part, How wanted) {
  constexpr long each = 16;
  const char* const given = std::getenv("BALLAST_SWEEP_EVERY");
  const long every = number < each || given == nullptr ? 1 : std::max(1L, std::atol(given));
  if (wanted == How::place) {
    return every;
  }
  return std::max({every, 1 + number / 64, number >= each && part == Part::load ? 8L : 1L});
}

class Sweep {
 public:
  Sweep(const char* plugin, Part part) : plugin_{plugin}, part_{part} {
    void* const memory =
        ::mmap(nullptr, sizeof *shared_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BALLAST_ASSERT(memory != MAP_FAILED);
    shared_ = new (memory) Shared;
  }
  Outcome try_one(Kind kind, long number, How wanted);
  // Returns how many lives went wrong.
  long run(Kind kind, How wanted);

 private:
  Outcome try_in(const Folder& folder, Kind kind, long number, How wanted) const;

  const char* const plugin_;
  const Part part_;
  const Folder logged_{"/var/tmp"};
  Shared* shared_;
};

Outcome Sweep::try_one(Kind kind, long number, How wanted) {
  if (part_ == Part::log) {
    return try_in(logged_, kind, number, wanted);
  }
  shared_->size = first_size;
  return try_in(Folder{"/dev/shm"}, kind, number, wanted);
}

Outcome Sweep::try_in(const Folder& folder, Kind kind, long number, How wanted) const {
  const pid_t process = ::fork();
  if (process == 0) {
    refused = kind;
    refuse_at = number;
    how = wanted;
    ::setenv("BALLAST_RECORDS", folder.file("").c_str(), 1);
    std::string config = "file=" + folder.file("vol.raw");
    const bool with_log = part_ == Part::log;
    if (with_log) {
      config += ";log=" + folder.file("vol.log") + ";log_size=256MiB";
    }
    const Outcome outcome = child(plugin_, {.part = part_,
                                            .config = config,
                                            .shared = shared_,
                                            .at_start = with_log && kind != Kind::count});
    if (ballast::exit_is_plain) {
      std::exit(static_cast<int>(outcome));  // a tool reports what was run
    }
    ::_exit(static_cast<int>(outcome));
  }
  int status = 0;
  (void)::waitpid(process, &status, 0);
  for (const Outcome outcome : {Outcome::lived, Outcome::over}) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == static_cast<int>(outcome)) {
      return outcome;
    }
  }
  std::fprintf(stderr, "%s %s %ld %s: %s %d\n", part_names[static_cast<int>(part_)],
               kind_names[static_cast<int>(kind)], number, how_names[static_cast<int>(wanted)],
               WIFEXITED(status) ? "exit" : "signal",
               WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  return Outcome::failed;
}

long Sweep::run(Kind kind, How wanted) {
  long failed = 0;
  long lives = 0;
  for (long number = 1; number < 100000; number += step_from(number, part_, wanted)) {
    const Outcome outcome = try_one(kind, number, wanted);
    if (outcome == Outcome::over) {
      break;
    }
    ++lives;
    failed += outcome == Outcome::failed ? 1 : 0;
  }
  std::printf("%-5s %-8s %-5s: %ld lives, %ld went wrong\n", part_names[static_cast<int>(part_)],
              kind_names[static_cast<int>(kind)], how_names[static_cast<int>(wanted)], lives,
              failed);
  std::fflush(stdout);
  return failed;
}

// `count`: there is none of that name.
template <class Enumeration, std::size_t count>
Enumeration called(std::string_view name, const char* const (&names)[count]) {
  return static_cast<Enumeration>(std::find(std::begin(names), std::end(names), name) - names);
}

}  // namespace

int main(int count, char** arguments) {
  const Part part = called<Part>(count > 1 ? arguments[1] : "", part_names);
  const Kind only = count > 2 ? called<Kind>(arguments[2], kind_names) : Kind::count;
  const How one_way = count > 3 ? called<How>(arguments[3], how_names) : How::count;
  if (part == Part::count || (count > 2 && only == Kind::count) ||
      (count > 3 && one_way == How::count)) {
    std::fprintf(stderr, "usage: fault_sweep plain|log|load [KIND [once|on|place [NUMBER]]]\n");
    return 2;
  }
  if (part == Part::log && (!has_direct_io("/var/tmp") || !has_attributes("/var/tmp"))) {
    std::printf("/var/tmp has no O_DIRECT or no extended attributes\n");
    return 77;
  }
  const char* plugin = std::getenv("BALLAST_PLUGIN");
  Sweep sweep{plugin != nullptr ? plugin : "build/handler_ballast.so", part};
  // This life makes the log.
  if (sweep.try_one(Kind::count, 0, How::once) != Outcome::lived) {
    return 1;
  }
  if (count > 4) {
    return sweep.try_one(only, std::atol(arguments[4]), one_way) == Outcome::failed ? 1 : 0;
  }
  long failed = 0;
  for (int kind = 0; kind < static_cast<int>(Kind::count); ++kind) {
    if (count <= 2 || only == static_cast<Kind>(kind)) {
      for (const How each : {How::once, How::on, How::place}) {
        failed += count <= 3 || one_way == each ? sweep.run(static_cast<Kind>(kind), each) : 0;
      }
    }
  }
  return failed == 0 ? 0 : 1;
}
