// SPDX-License-Identifier: Apache-2.0
// A closed loop of commands through the real plugin, without kernel or network.
// usage: bench PLUGIN CONFIG read|write DEPTH BLOCK_BYTES COMMANDS [OPTION…]
//   --size MIB      of a LUN (256)
//   --luns N        LUNs that work, each with DEPTH commands at once, COMMANDS each (1)
//   --idle N        LUNs beside them that do nothing (0)
//   --idle-config C their CONFIG (null)
//   --latency       percentiles, too: two readings of the clock for each command
//   --apart         each LUN has an initiator with a thread of its own, which sleeps until an
//                   answer comes. Without it, the thread that rings the doorbell submits the next
//                   command, so that no thread ever waits for another.
//   --fua           writes are durable when they are answered (FUA)
//   --warm-up N     N commands of each LUN before those that are measured (0)
//   --hold FILE     no loop: the fault rules in FILE hold DEPTH commands (CONFIG has
//                   fault=FILE), and the memory that each takes besides its data is printed
// "{}" in CONFIG becomes the number of the LUN. Prints one line of names and values. COMMANDS is a
// number of commands and not a time. So the difference of two runs of different lengths, under
// callgrind or strace, gives the cost of one command.
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <random>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/assert.h"
#include "tests/ring/cdb.h"
#include "tests/ring/host.h"

using namespace ballast::ring_test;
using Clock = std::chrono::steady_clock;

namespace {

struct Options {
  std::string plugin;
  std::string config;
  std::string mode;
  std::size_t depth = 1;
  std::size_t bytes = 4096;
  std::int64_t commands = 1;
  std::uint64_t size_mib = 256;
  std::size_t luns = 1;
  std::size_t idle = 0;
  std::string idle_config = "null";
  bool latency = false;
  bool apart = false;
  bool fua = false;
  std::int64_t warm_up = 0;
  std::string hold;
};

struct Slot;

// The other end of a session: a thread that sleeps until one of its commands is answered, and then
// submits the next.
class Initiator {
 public:
  Initiator() : event_{::eventfd(0, EFD_CLOEXEC)}, thread_{[this] { run(); }} {}
  ~Initiator() {
    wake(nullptr);
    thread_.join();
    ::close(event_);
  }
  Initiator(const Initiator&) = delete;
  Initiator& operator=(const Initiator&) = delete;

  // `slot` may submit. Null: no slot will any more.
  void wake(Slot* slot) {
    bool asleep = false;
    {
      const std::lock_guard guard{mutex_};
      asleep = ready_.empty();
      ready_.push_back(slot);
    }
    const std::uint64_t one = 1;
    BALLAST_ASSERT(!asleep || ::write(event_, &one, sizeof one) == sizeof one);
  }

 private:
  void run();

  int event_;
  std::mutex mutex_;
  std::vector<Slot*> ready_;
  std::thread thread_;
};

// What one LUN has to do.
struct Job {
  std::unique_ptr<Lun> lun;
  bool write = false;
  bool fua = false;
  bool latency = false;
  std::uint32_t blocks = 0;  // of 512 bytes, per command
  std::uint64_t places = 0;  // commands that fit the LUN side by side
  std::atomic<std::int64_t> left{0};
  std::atomic<std::uint64_t> failed{0};
  std::counting_semaphore<>* finished = nullptr;
  std::unique_ptr<Initiator> initiator;  // null: the thread that rings the doorbell
};

// One command at a time.
struct Slot {
  Job* job = nullptr;
  std::minstd_rand random;
  std::vector<std::byte> buffer;
  Clock::time_point begun{};
  std::vector<std::uint32_t> took;  // ns

  void next() {
    if (job->left.fetch_sub(1, std::memory_order_relaxed) <= 0) {
      job->finished->release();
      return;
    }
    if (job->latency) {
      begun = Clock::now();
    }
    const std::uint64_t lba = random() % job->places * job->blocks;
    const Cdb cdb = job->write ? write_16(lba, job->blocks, job->fua) : read_16(lba, job->blocks);
    if (!job->lun->submit(cdb, job->write ? Direction::to_device : Direction::from_device, buffer,
                          {&Slot::answered, this})) {
      std::fprintf(stderr, "the ring is full\n");
      std::exit(1);
    }
  }

  static void answered(void* self, const Answer& answer) {
    Slot& slot = *static_cast<Slot*>(self);
    if (slot.job->latency) {
      slot.took.push_back(static_cast<std::uint32_t>(
          std::min<std::int64_t>((Clock::now() - slot.begun).count(), UINT32_MAX)));
    }
    if (answer.status != 0) {
      slot.job->failed.fetch_add(1, std::memory_order_relaxed);
    }
    slot.go_on();
  }

  void go_on() {
    if (job->initiator != nullptr) {
      job->initiator->wake(this);
    } else {
      next();
    }
  }
};

void Initiator::run() {
  std::vector<Slot*> ready;
  for (;;) {
    std::uint64_t count = 0;
    BALLAST_ASSERT(::read(event_, &count, sizeof count) == sizeof count);
    {
      const std::lock_guard guard{mutex_};
      std::swap(ready, ready_);
    }
    for (Slot* const slot : ready) {
      if (slot == nullptr) {
        return;
      }
      slot->next();
    }
    ready.clear();
  }
}

// Memory that is the process's own: the rings are shared with the kernel, and are no part of it.
std::int64_t anonymous_kib() {
  std::ifstream file{"/proc/self/smaps_rollup"};
  std::string word;
  while (file >> word) {
    if (word == "Anonymous:") {
      std::int64_t kib = 0;
      file >> kib;
      return kib;
    }
  }
  return 0;
}

struct Used {
  Clock::time_point at = Clock::now();
  double cpu_seconds = 0;
  std::int64_t switches = 0;
  static Used now() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    Used used;
    used.cpu_seconds = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    used.switches = usage.ru_nvcsw + usage.ru_nivcsw;
    return used;
  }
};

std::size_t threads() {
  const std::filesystem::directory_iterator all{"/proc/self/task"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::unique_ptr<Lun> add(std::string config, std::size_t number, const Options& options,
                         std::size_t data_pages = LunOptions{}.data_pages) {
  if (const std::size_t at = config.find("{}"); at != std::string::npos) {
    config.replace(at, 2, std::to_string(number));
  }
  LunOptions lun;
  lun.size = options.size_mib << 20;
  lun.data_pages = data_pages;
  std::unique_ptr<Lun> added = Lun::add(config, lun);
  if (added == nullptr) {
    std::fprintf(stderr, "%s", take_log().c_str());
    std::exit(1);
  }
  // A LUN that makes its write log, or reads it, is becoming ready.
  const Clock::time_point late = Clock::now() + std::chrono::minutes{5};
  while (added->execute(test_unit_ready()).status != 0) {
    if (Clock::now() > late) {
      std::fprintf(stderr, "the LUN does not become ready:\n%s", take_log().c_str());
      std::exit(1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return added;
}

// Each LUN carries out so many commands. Returns how many the last had left when the first was
// done.
std::int64_t carry_out(std::int64_t commands, std::vector<Job>& jobs, std::vector<Slot>& slots) {
  for (Job& job : jobs) {
    job.left = commands;
  }
  for (Slot& slot : slots) {
    slot.go_on();
  }
  const std::size_t depth = slots.size() / jobs.size();
  for (std::size_t i = 0; i < depth; ++i) {
    jobs[0].finished->acquire();
  }
  std::int64_t most_left = 0;
  for (const Job& job : jobs) {
    most_left = std::max(most_left, job.left.load());
  }
  for (std::size_t i = depth; i < slots.size(); ++i) {
    jobs[0].finished->acquire();
  }
  return most_left;
}

void print_latency(const std::vector<Slot>& slots) {
  std::vector<std::uint32_t> all;
  for (const Slot& slot : slots) {
    all.insert(all.end(), slot.took.begin(), slot.took.end());
  }
  std::sort(all.begin(), all.end());
  const auto at = [&](double share) {
    return all.empty()
               ? 0.0
               : all[static_cast<std::size_t>(share * static_cast<double>(all.size() - 1))] * 1e-3;
  };
  std::printf(" p50-us %.1f p99-us %.1f p99.9-us %.1f", at(0.5), at(0.99), at(0.999));
}

// The commands begin, and stay: what they take is what is there more than before.
void print_held(const Options& options, std::vector<Slot>& slots, Job& job) {
  constexpr std::chrono::milliseconds settle{500};
  const std::int64_t before = anonymous_kib();
  std::ofstream{options.hold} << "all freeze\n";
  std::this_thread::sleep_for(settle);
  job.left = static_cast<std::int64_t>(slots.size());
  for (Slot& slot : slots) {
    slot.next();
  }
  std::this_thread::sleep_for(settle);
  const std::int64_t held = anonymous_kib();
  std::ofstream{options.hold} << "thaw\n";
  for (std::size_t i = 0; i < slots.size(); ++i) {
    job.finished->acquire();
  }
  const std::int64_t data = static_cast<std::int64_t>(options.bytes * slots.size()) / 1024;
  std::printf("held %zu kib-with-data %lld bytes-each %.0f", slots.size(),
              static_cast<long long>(held - before),
              static_cast<double>(held - before - data) * 1024 / static_cast<double>(slots.size()));
}

int run(const Options& options) {
  load_plugin(options.plugin.c_str());
  const std::int64_t before_idle = anonymous_kib();
  const std::size_t threads_before_idle = threads();
  constexpr std::size_t idle_pages = 64;  // so that the host's own memory for them is small
  std::vector<std::unique_ptr<Lun>> idle;
  for (std::size_t i = 0; i < options.idle; ++i) {
    idle.push_back(add(options.idle_config, i, options, idle_pages));
  }
  const std::int64_t after_idle = anonymous_kib();
  const std::size_t threads_after_idle = threads();
  std::counting_semaphore<> finished{0};
  std::vector<Job> jobs(options.luns);
  std::vector<Slot> slots(options.luns * options.depth);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    Job& job = jobs[i];
    job.lun = add(options.config, i, options);
    job.write = options.mode == "write";
    job.latency = options.latency;
    job.blocks = static_cast<std::uint32_t>(options.bytes / 512);
    job.places = (options.size_mib << 20) / options.bytes;
    job.fua = options.fua;
    job.finished = &finished;
    if (options.apart) {
      job.initiator = std::make_unique<Initiator>();
    }
  }
  for (std::size_t i = 0; i < slots.size(); ++i) {
    slots[i].job = &jobs[i % jobs.size()];
    slots[i].random.seed(static_cast<unsigned>(i + 1));
    slots[i].buffer.resize(options.bytes, std::byte{0x5a});
    if (options.latency) {
      slots[i].took.reserve(static_cast<std::size_t>(options.commands));
    }
  }
  if (!options.hold.empty()) {
    print_held(options, slots, jobs[0]);
    std::printf("\n");
    return 0;
  }
  if (options.warm_up > 0) {
    carry_out(options.warm_up, jobs, slots);
    for (Slot& slot : slots) {
      slot.took.clear();
    }
  }
  const Used begin = Used::now();
  const std::int64_t most_left = carry_out(options.commands, jobs, slots);
  const Used end = Used::now();
  const double commands = static_cast<double>(options.commands) * static_cast<double>(jobs.size());
  const double seconds = std::chrono::duration<double>(end.at - begin.at).count();
  HostStats stats;
  std::uint64_t failed = 0;
  for (const Job& job : jobs) {
    stats.answers += job.lun->stats().answers;
    stats.doorbells += job.lun->stats().doorbells;
    failed += job.failed;
  }
  std::printf("commands/s %.0f ns %.0f cpu-ns %.0f switches %.3f answers/doorbell %.2f",
              commands / seconds, seconds / commands * 1e9,
              (end.cpu_seconds - begin.cpu_seconds) / commands * 1e9,
              static_cast<double>(end.switches - begin.switches) / commands,
              static_cast<double>(stats.answers) / static_cast<double>(stats.doorbells));
  if (options.latency) {
    print_latency(slots);
  }
  if (options.luns > 1) {
    std::printf(" fairness %.3f",
                1 - static_cast<double>(most_left) / static_cast<double>(options.commands));
  }
  if (options.idle > 0) {
    const double count = static_cast<double>(options.idle);
    std::printf(" kib-per-idle-lun %.0f threads-per-idle-lun %.1f",
                static_cast<double>(after_idle - before_idle) / count,
                static_cast<double>(threads_after_idle - threads_before_idle) / count);
  }
  std::printf("\n");
  if (failed > 0) {
    std::fprintf(stderr, "%llu commands failed\n", static_cast<unsigned long long>(failed));
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"A closed loop through the real plugin"};
  app.add_option("PLUGIN", options.plugin)->required();
  app.add_option("CONFIG", options.config)->required();
  app.add_option("MODE", options.mode)->required()->check(CLI::IsMember({"read", "write"}));
  app.add_option("DEPTH", options.depth)->required()->check(CLI::Range(1, 16384));
  app.add_option("BLOCK_BYTES", options.bytes)->required()->check(CLI::Range(512, 1 << 22));
  app.add_option("COMMANDS", options.commands)->required()->check(CLI::PositiveNumber);
  app.add_option("--size", options.size_mib)->check(CLI::PositiveNumber);
  app.add_option("--luns", options.luns)->check(CLI::Range(1, 1000));
  app.add_option("--idle", options.idle)->check(CLI::Range(0, 1000));
  app.add_option("--idle-config", options.idle_config);
  app.add_flag("--latency", options.latency);
  app.add_flag("--apart", options.apart);
  app.add_flag("--fua", options.fua);
  app.add_option("--warm-up", options.warm_up)->check(CLI::NonNegativeNumber);
  app.add_option("--hold", options.hold);
  CLI11_PARSE(app, argc, argv);
  return run(options);
}
