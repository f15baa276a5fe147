// SPDX-License-Identifier: Apache-2.0
// No wake is lost between the command thread, the reactor and foreign threads. The loop runs
// without its safety net, so a lost wake hangs the test, and the alarm ends it.
//
// A producer makes commands ready on an eventfd. The command thread reads how many there are,
// starts a task for each, and lingers for a random time. Each task several times reads from a file
// through io_uring, sleeps, or waits for a foreign thread; some do that under a mutex. Twice during
// the test the reactor is stopped and started again.
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <queue>
#include <thread>

#include "lib/co/mutex.h"
#include "lib/co/sleep.h"
#include "lib/io/loop.h"
#include "tests/cmocka.h"
#include "tests/unit/io/support.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

constexpr unsigned hang_seconds = 120;
constexpr std::size_t page = 4096;
constexpr std::size_t pages = 64;
constexpr std::size_t commands_wanted = 4000;

// A library that answers from a thread of its own.
class Library {
 public:
  Library() : thread_{[this] { serve(); }} {}
  ~Library() {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  void ask(co::Waker waker) {
    under_way.fetch_add(1);
    {
      const std::lock_guard lock{mutex_};
      requests_.push(waker);
    }
    changed_.notify_one();
  }
  std::atomic<int> under_way{0};

 private:
  void serve() {
    std::mt19937_64 random{test::seed() + 1};
    std::unique_lock lock{mutex_};
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !requests_.empty(); });
      if (requests_.empty()) {
        return;
      }
      const co::Waker waker = requests_.front();
      requests_.pop();
      lock.unlock();
      if (random() % 4 == 0) {
        std::this_thread::sleep_for(std::chrono::microseconds{random() % 100});
      }
      under_way.fetch_sub(1);
      waker.post(7);
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<co::Waker> requests_;
  bool stopping_ = false;
  std::thread thread_;
};

struct House {
  House() {
    const auto data = test::random_bytes(pages * page);
    BALLAST_ASSERT(::pwrite(file, data.data(), data.size(), 0) ==
                   static_cast<ssize_t>(data.size()));
    (void)::fcntl(file, F_SETFL, ::fcntl(file, F_GETFL) | O_DIRECT);
    loop.set_under_way([](void* lib) { return static_cast<Library*>(lib)->under_way.load() > 0; },
                       &library);
  }
  ~House() {
    ::close(file);
    ::close(command_fd);
  }
  // On the disk where one is, so that completions come from elsewhere.
  static int scratch_file() {
    char name[] = "/var/tmp/ballast-loop-XXXXXX";
    const int fd = ::mkstemp(name);
    BALLAST_ASSERT(fd >= 0);
    ::unlink(name);
    return fd;
  }
  co::SteadyClock clock;
  Library library;
  co::Executor executor{"stress", clock};
  co::TaskGroup group{executor};
  co::Mutex mutex{executor};
  std::mt19937_64 random{test::seed()};
  std::atomic<std::size_t> ended{0};
  std::unique_ptr<io::Uring> ring =
      std::move(io::Uring::open(executor, {.entries = 8, .max_operations = 16})).value();
  io::Loop loop{executor, clock, ring.get(), Nanoseconds::max()};
  int file = scratch_file();
  int command_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
};

co::Task<void> read_a_page(House& house, co::Executor& executor) {
  (void)executor;
  alignas(16) std::byte raw[2 * page];
  std::byte* const aligned = raw + (page - reinterpret_cast<std::uintptr_t>(raw) % page) % page;
  const Bytes at{house.random() % pages * page};
  const int got =
      co_await house.ring->read(io::UringFile{house.file, -1}, at, std::span{aligned, page});
  BALLAST_ASSERT(got == static_cast<int>(page) || got == -EINVAL);
}

co::Task<void> ask_the_library(House& house, co::Executor& executor) {
  co::Wait wait{executor, "library"};
  house.library.ask(wait.waker());
  const std::int64_t answer = co_await wait;
  BALLAST_ASSERT(answer == 7);
}

co::Task<void> command(House& house, co::Executor& executor) {
  const std::size_t steps = 1 + house.random() % 4;
  for (std::size_t i = 0; i < steps; ++i) {
    const std::uint64_t what = house.random() % 16;
    if (what < 8) {
      co_await read_a_page(house, executor);
    } else if (what < 11) {
      co_await ask_the_library(house, executor);
    } else if (what < 12) {
      co_await co::sleep_for(executor, std::chrono::microseconds{house.random() % 300});
    } else if (what < 14) {
      const co::Mutex::Guard guard = co_await house.mutex.lock();
      co_await read_a_page(house, executor);
    }
  }
  house.ended.fetch_add(1);
  house.ended.notify_all();
}

void start_command(void* house_pointer, std::int64_t how_many) {
  House& house = *static_cast<House*>(house_pointer);
  for (std::int64_t i = 0; i < how_many; ++i) {
    house.group.spawn("command", command(house, house.executor));
  }
}

// In bursts; after each it waits, and gives no more help, until all has ended.
void produce(House& house) {
  std::mt19937_64 random{test::seed() + 2};
  for (std::size_t made = 0; made < commands_wanted;) {
    for (std::uint64_t burst = random() % 8; burst > 0 && made < commands_wanted; --burst) {
      const std::uint64_t now = std::min<std::uint64_t>(1 + random() % 8, commands_wanted - made);
      BALLAST_ASSERT(::write(house.command_fd, &now, sizeof now) == sizeof now);
      made += now;
      if (random() % 2 == 0) {
        std::this_thread::sleep_for(std::chrono::microseconds{random() % 200});
      }
    }
    for (std::size_t ended = house.ended; ended < made; ended = house.ended) {
      house.ended.wait(ended);
    }
  }
}

// As the daemon's: waits for commands, takes them in, drives, and lingers as it likes.
void take_commands(House& house) {
  std::mt19937_64 random{test::seed() + 3};
  std::size_t taken = 0;
  while (taken < commands_wanted) {
    pollfd fd{.fd = house.command_fd, .events = POLLIN, .revents = 0};
    (void)::poll(&fd, 1, -1);
    std::uint64_t count = 0;
    if (::read(house.command_fd, &count, sizeof count) != sizeof count) {
      continue;
    }
    taken += count;
    const co::Message first{
        .run = &start_command, .context = &house, .value = static_cast<std::int64_t>(count)};
    if (random() % 4 == 0) {
      (void)house.loop.drive(&first);
    } else {
      (void)house.loop.linger({.fd = house.command_fd}, std::chrono::microseconds{random() % 2000},
                              &first);
    }
  }
}

void every_command_ends(void**) {
  House house;
  BALLAST_ASSERT(house.loop.start().ok());
  std::thread producer{[&] { produce(house); }};
  std::thread commands{[&] { take_commands(house); }};
  for (int i = 0; i < 2; ++i) {
    std::this_thread::sleep_for(20ms);
    house.loop.stop();
    std::this_thread::sleep_for(2ms);
    BALLAST_ASSERT(house.loop.start().ok());
  }
  producer.join();
  commands.join();
  house.loop.stop();
  assert_int_equal(house.group.live(), 0);
  assert_int_equal(house.executor.stats().refused_wakes, 0);
  const io::LoopStats stats = house.loop.stats();
  const io::UringStats ring = house.ring->stats();
  std::printf(
      "drives %llu rounds %llu lingers %llu (%llu sleeps) reactor wakes %llu kicks %llu "
      "contended %llu; submits %llu operations %llu slot waits %llu\n",
      static_cast<unsigned long long>(stats.drives), static_cast<unsigned long long>(stats.rounds),
      static_cast<unsigned long long>(stats.lingers),
      static_cast<unsigned long long>(stats.linger_sleeps),
      static_cast<unsigned long long>(stats.reactor_wakes),
      static_cast<unsigned long long>(stats.reactor_kicks),
      static_cast<unsigned long long>(stats.contended),
      static_cast<unsigned long long>(ring.submits),
      static_cast<unsigned long long>(ring.operations),
      static_cast<unsigned long long>(ring.slot_waits));
}

}  // namespace

int main() {
  (void)test::seed();
  ::alarm(hang_seconds);
  const CMUnitTest tests[] = {cmocka_unit_test(every_command_ends)};
  return cmocka_run_group_tests_name("loop stress", tests, nullptr, nullptr);
}
