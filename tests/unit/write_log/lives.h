// SPDX-License-Identifier: Apache-2.0
// Random lives of a log: a process opens it, works with it, and ends by itself, by a kill, or
// because the power fails; then the next one opens it. In the end the log may be lost.
//
// What must hold when the next process looks:
// - After a kill each block has the newest change that was answered as written, or a later one.
// - After a power cut it has the newest change that was answered as durable, or a later one.
// - When the log is lost, and was written back in the order of epochs, the store is as some power
// cut could have left it: if it has a change of
//   an epoch, it has all that was durable when that epoch began.
// - A change that ended with cancelled never shows.
// - The superblock has the size that the LUN was last given, or one that was not answered yet. The
//   LUN may have another size when it is opened. A LUN that shrinks loses nothing.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/log.h"
#include "lib/co/sim_executor.h"
#include "lib/co/sleep.h"
#include "lib/co/task_group.h"
#include "lib/write_log/write_log.h"
#include "tests/sim/sim_disk.h"
#include "tests/unit/write_log/newest_superblock.h"
#include "tests/unit/write_log/read_range.h"

namespace ballast::test {

using namespace ballast::write_log;

// What all versions of one block were, in the order in which they were issued.
class History {
 public:
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();
  struct Version {
    std::uint64_t id = 0;           // 0: zeros
    std::uint64_t written = never;  // the place of its answer among all answers
    std::uint64_t issued_in = 0;    // epochs that had been answered then
    std::uint64_t durable_in = never;
    bool gone = false;  // it must not show
  };
  std::vector<Version> versions{{.id = 0, .written = 0, .issued_in = 0, .durable_in = 0}};

  // The first version that may show.
  std::size_t newest_written() const {
    return newest([](const Version& version) { return version.written != never; });
  }
  std::size_t newest_durable(std::uint64_t epoch = never - 1) const {
    return newest([epoch](const Version& version) { return version.durable_in <= epoch; });
  }
  // The newest version from `first` on that has this content.
  std::optional<std::size_t> find(std::uint64_t id, std::size_t first) const {
    for (std::size_t i = versions.size(); i > first; --i) {
      if (versions[i - 1].id == id && !versions[i - 1].gone) {
        return i - 1;
      }
    }
    return std::nullopt;
  }

 private:
  template <class Is>
  std::size_t newest(Is is) const {
    for (std::size_t i = versions.size(); i > 0; --i) {
      if (!versions[i - 1].gone && is(versions[i - 1])) {
        return i - 1;
      }
    }
    return 0;
  }
};

struct LivesResult {
  std::vector<std::string> complaints;
  std::uint64_t lives = 0;
  std::uint64_t changes = 0;
  std::uint64_t log_blocks = 0;
};

class Lives {
 public:
  // `full`: each block takes 1 MiB of the log, and there are few epochs, so that the log is often
  // full and goes round often. Otherwise the seed decides.
  Lives(std::uint64_t seed, const Sabotage& sabotage, bool full = false)
      : random_{seed},
        sabotage_{sabotage},
        full_{full},
        order_{seed % 8 == 6 ? Order::free : Order::epoch},
        block_{random_.chance(1, 2) ? 512U : 4096U},
        unit_{static_cast<std::size_t>(page)
              << (full || random_.chance(1, 2) ? 8 : 4 * random_.below(3))},
        log_{ring_begin + fewest_segments * segment_bytes, page},
        store_{lun_blocks * block_, block_},
        histories_(lun_blocks) {}

  LivesResult run();

 private:
  static constexpr std::uint64_t lun_blocks = 400;  // at most; the store has as many
  static constexpr std::size_t most_clients = 40;

  template <class... Args>
  void complain(fmt::format_string<Args...> format, Args&&... args) {
    if (result_.complaints.size() < 5) {
      result_.complaints.push_back(fmt::format("life {}: ", result_.lives) +
                                   fmt::format(format, std::forward<Args>(args)...));
    }
  }
  WriteLog::Options options() const {
    WriteLog::Options options;
    options.identity.lun = Bytes{lun_ * block_};
    options.identity.block = block_;
    options.order = order_;
    options.sabotage = sabotage_;
    return options;
  }
  std::uint64_t word(std::uint64_t block, std::uint64_t id) const { return id << 16 | block; }
  void fill(std::span<std::byte> to, std::uint64_t block, std::uint64_t id) const {
    const std::uint64_t value = word(block, id);
    for (std::size_t at = 0; at < to.size(); at += sizeof(value)) {
      std::memcpy(to.data() + at, &value, sizeof(value));
    }
  }
  // The id of what a block holds; nothing: nobody ever wrote that.
  std::optional<std::uint64_t> id_of(std::span<const std::byte> bytes, std::uint64_t block) const {
    std::uint64_t first = 0;
    std::memcpy(&first, bytes.data(), sizeof(first));
    const bool same =
        std::memcmp(bytes.data(), bytes.data() + sizeof(first), bytes.size() - sizeof(first)) == 0;
    if (!same || (first != 0 && (first & 0xffff) != block)) {
      return std::nullopt;
    }
    return first >> 16;
  }

  // One life, of several tasks on one executor.
  struct Life {
    Life(Lives& lives, std::uint64_t seed, const DiskTemper& log_temper,
         const DiskTemper& store_temper)
        : sim{seed},
          disk{sim.executor(), lives.log_, seed + 1, lives.unit_, log_temper},
          store{sim.executor(), lives.store_, seed + 2, lives.block_, store_temper},
          tasks{sim.executor()} {}
    co::Executor& executor() { return sim.executor(); }
    co::SimExecutor sim;
    SimDisk disk;
    SimDisk store;
    co::TaskGroup tasks;
    std::unique_ptr<WriteLog> log;
    void end_all() {
      end.request();
      for (const std::shared_ptr<co::CancelSource>& cancel : cancels) {
        cancel->request();
      }
    }
    co::CancelSource end;
    std::vector<std::shared_ptr<co::CancelSource>> cancels;  // of each change
    bool resizing = false;
    std::vector<bool> busy = std::vector<bool>(lun_blocks);
    std::vector<std::vector<std::byte>> buffers;  // kept for the whole life
  };
  enum class End : std::uint8_t { close, kill, power_cut };

  co::Task<void> open(Life& life);
  co::Task<void> look(Life& life);
  // Chances of one life.
  struct Habits {
    bool large = false;      // some changes are as large as the LUN
    unsigned durable = 333;  // per mille, of changes
    unsigned flushes = 100;  // per mille, of what clients do
  };
  co::Task<void> client(Life& life, Habits habits);
  co::Task<void> change(Life& life, Habits habits);
  co::Task<void> flush(Life& life);
  std::uint64_t any_size() { return 100 + random_.below(lun_blocks - 99); }
  co::Task<void> resize(Life& life);
  void look_at_superblock();
  co::Task<void> read(Life& life, std::uint64_t lba, std::uint64_t count, bool first_look);
  static co::Task<void> cancel_later(co::Executor& executor, std::shared_ptr<co::CancelSource> it,
                                     Nanoseconds delay);
  co::Task<void> close(Life& life);
  void run_tasks(Life& life) const;
  void run_to_superblock(Life& life);
  void end_while_opening(Life& life);
  void live();
  void judge_store();
  void make_log();

  co::Random random_;
  const Sabotage sabotage_;
  const bool full_;
  const Order order_;
  const std::uint32_t block_;
  const std::size_t unit_;
  Medium log_;
  Medium store_;
  std::vector<History> histories_;
  std::uint64_t lun_ = lun_blocks;                // the LUN's size, in blocks
  std::vector<std::uint64_t> sizes_{lun_blocks};  // that the superblock may have
  std::uint64_t next_id_ = 1;
  std::uint64_t answers_ = 0;
  std::uint64_t epochs_ = 0;
  End last_end_ = End::close;
  bool failed_ = false;  // the device has failed in some life
  LivesResult result_;
};

inline co::Task<void> Lives::open(Life& life) {
  Result<std::unique_ptr<WriteLog>> opened =
      co_await WriteLog::open(life.disk, life.store, options());
  if (!opened.ok()) {
    if (!life.disk.dead()) {
      complain("the log is refused: {}", opened.error().message);
    }
    co_return;
  }
  life.log = std::move(opened).value();
  sizes_ = {lun_};
}

inline co::Task<void> Lives::read(Life& life, std::uint64_t lba, std::uint64_t count,
                                  bool first_look) {
  std::vector<std::size_t> least(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const History& history = histories_[lba + i];
    const bool power_failed = first_look && last_end_ == End::power_cut;
    least[i] = power_failed ? history.newest_durable() : history.newest_written();
  }
  std::vector<std::byte> bytes(count * block_);
  const IoStatus status = co_await read_range(*life.log, life.store, block_, Lba{lba}, bytes);
  if (life.disk.dead()) {
    co_return;
  }
  if (!ok(status)) {
    complain("reading {}+{} ended with {}", lba, count, to_string(status));
    co_return;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    History& history = histories_[lba + i];
    const auto id = id_of(std::span<const std::byte>{bytes}.subspan(i * block_, block_), lba + i);
    const auto found = id ? history.find(*id, least[i]) : std::nullopt;
    if (!found) {
      complain("block {} has {}, and must have {} or a later one ({} versions, {})", lba + i,
               id ? std::to_string(*id) : "garbage", history.versions[least[i]].id,
               history.versions.size(),
               !first_look                   ? "in the same life"
               : last_end_ == End::power_cut ? "after a power cut"
               : last_end_ == End::kill      ? "after a kill"
                                             : "after closing");
      continue;
    }
    if (!first_look) {
      continue;
    }
    // What is not there now never comes.
    for (std::size_t later = *found + 1; later < history.versions.size(); ++later) {
      history.versions[later].gone = true;
    }
    History::Version& its = history.versions[*found];
    its.written = std::min(its.written, answers_);
    its.durable_in = std::min(its.durable_in, epochs_);
  }
}

inline co::Task<void> Lives::look(Life& life) {
  ++answers_;
  ++epochs_;
  for (std::uint64_t lba = 0; lba < lun_blocks; lba += 50) {
    co_await read(life, lba, 50, true);
  }
}

inline co::Task<void> Lives::cancel_later(co::Executor& executor,
                                          std::shared_ptr<co::CancelSource> it, Nanoseconds delay) {
  co_await co::sleep_for(executor, delay);
  it->request();
}

inline co::Task<void> Lives::change(Life& life, Habits habits) {
  const bool large = habits.large && random_.chance(1, 4);
  const std::uint64_t most = large ? lun_blocks : 1 + random_.below(16);
  const std::uint64_t lba = random_.below(lun_);
  const std::uint64_t count = 1 + random_.below(std::min(lun_ - lba, most));
  const auto first = life.busy.begin() + static_cast<std::ptrdiff_t>(lba);
  const auto last = first + static_cast<std::ptrdiff_t>(count);
  if (std::find(first, last, true) != last) {
    co_return;
  }
  std::fill(first, last, true);
  const bool zeros = random_.chance(1, 8);
  const std::uint64_t id = zeros ? 0 : next_id_++;
  std::vector<std::size_t> numbers(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    numbers[i] = histories_[lba + i].versions.size();
    histories_[lba + i].versions.push_back({.id = id, .issued_in = epochs_});
  }
  std::vector<std::byte> bytes(zeros ? 0 : count * block_);
  for (std::uint64_t i = 0; i < count && !zeros; ++i) {
    fill(std::span{bytes}.subspan(i * block_, block_), lba + i, id);
  }
  const iovec segment{bytes.data(), bytes.size()};
  const std::span<const iovec> segments{&segment, 1};
  Change its{.kind = zeros ? Kind::zero : Kind::data,
             .lba = Lba{lba},
             .blocks = BlockCount{count},
             .data = io::SgView{segments}};
  const Until until = random_.chance(habits.durable, 1000) ? Until::durable : Until::written;
  const auto cancel = std::make_shared<co::CancelSource>();
  if (random_.chance(1, 6)) {
    const auto delay = Nanoseconds{static_cast<std::int64_t>(random_.below(3'000'000))};
    life.tasks.spawn("canceller", cancel_later(life.executor(), cancel, delay));
  }
  life.cancels.push_back(cancel);
  const IoStatus status = co_await life.log->append(its, until, cancel->token());
  std::fill(first, last, false);
  life.buffers.push_back(std::move(bytes));
  if (life.disk.dead()) {
    co_return;
  }
  ++result_.changes;
  if (ok(status)) {
    ++answers_;
    epochs_ += until == Until::durable ? 1 : 0;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    History::Version& version = histories_[lba + i].versions[numbers[i]];
    version.gone = status == IoStatus::cancelled;
    version.written = ok(status) ? answers_ : version.written;
    version.durable_in = ok(status) && until == Until::durable ? epochs_ : version.durable_in;
  }
}

inline co::Task<void> Lives::flush(Life& life) {
  const std::uint64_t before = answers_;
  const IoStatus status = co_await life.log->flush();
  if (life.disk.dead() || !ok(status)) {
    co_return;
  }
  ++epochs_;
  for (History& history : histories_) {
    // Those before one that is durable do not matter.
    for (std::size_t i = history.versions.size(); i > 0; --i) {
      History::Version& version = history.versions[i - 1];
      if (version.durable_in != History::never) {
        break;
      }
      version.durable_in = version.written <= before ? epochs_ : History::never;
    }
  }
}

inline co::Task<void> Lives::resize(Life& life) {
  if (life.resizing) {
    co_return;
  }
  life.resizing = true;
  const std::uint64_t size = any_size();
  lun_ = std::min(lun_, size);
  sizes_.push_back(size);
  const IoStatus status = co_await life.log->set_lun(Bytes{size * block_});
  life.resizing = false;
  if (life.disk.dead() || !ok(status)) {
    co_return;
  }
  lun_ = size;
  sizes_ = {size};
}

// As the next process finds it.
inline void Lives::look_at_superblock() {
  const std::uint64_t size = newest_superblock(log_).lun.value() / block_;
  if (std::ranges::find(sizes_, size) == sizes_.end()) {
    complain("the superblock has a LUN of {} blocks, and it was given {} ({} answers pending)",
             size, sizes_.front(), sizes_.size() - 1);
  }
}

inline co::Task<void> Lives::client(Life& life, Habits habits) {
  while (!life.end.requested() && result_.complaints.empty() &&
         life.log->state() == WriteLog::State::working) {
    const std::uint64_t what = random_.below(1000);
    if (what < habits.flushes) {
      co_await flush(life);
    } else if (what < 700) {
      co_await change(life, habits);
    } else if (what < 900) {
      const std::uint64_t lba = random_.below(lun_blocks);
      co_await read(life, lba, 1 + random_.below(std::min<std::uint64_t>(20, lun_blocks - lba)),
                    false);
    } else if (what < 910) {
      co_await resize(life);
    } else {
      const auto idle = Nanoseconds{static_cast<std::int64_t>(random_.below(2'000'000))};
      (void)co_await co::sleep_for(life.executor(), idle, life.end.token());
    }
    co_await co::yield(life.executor());
  }
}

inline co::Task<void> Lives::close(Life& life) {
  co_await life.log->close();
}

// Runs no longer than the test's tasks do, so that the log does not come to rest. A task that does
// not end keeps all that it uses, so the test cannot go on.
inline void Lives::run_tasks(Life& life) const {
  const TimePoint latest = life.sim.now() + std::chrono::seconds{400};
  life.sim.run_ready();
  while (life.tasks.live() > 0 && life.sim.now() < latest && life.sim.advance()) {
  }
  if (life.tasks.live() == 0) {
    return;
  }
  const co::TaskInfo* task = life.executor().registry().first();
  for (; task != nullptr; task = task->next) {
    std::fprintf(stderr, "life %llu: %s waits for %s (%s:%u)\n",
                 static_cast<unsigned long long>(result_.lives), task->name,
                 task->waits_for != nullptr ? task->waits_for : "nothing",
                 task->wait_site.file_name(), task->wait_site.line());
  }
  std::abort();
}

// Runs until shortly after the log begins to write one of its next superblocks.
inline void Lives::run_to_superblock(Life& life) {
  constexpr std::uint64_t step_us = 100;
  constexpr std::uint64_t longest_us = 200'000;
  const std::uint64_t wanted = life.disk.writes_below(ring_begin) + 1 + random_.below(12);
  for (std::uint64_t at = 0; at < longest_us; at += step_us) {
    life.sim.run_for(std::chrono::microseconds{step_us});
    if (life.disk.writes_below(ring_begin) >= wanted) {
      break;
    }
  }
  life.sim.run_for(std::chrono::microseconds{random_.below(600)});
}

inline void Lives::end_while_opening(Life& life) {
  life.sim.run_for(std::chrono::microseconds{random_.below(12000)});
  life.disk.die();
  life.store.die();
  run_tasks(life);
  if (life.log != nullptr) {
    life.tasks.spawn("close", close(life));
    run_tasks(life);
  }
  if (random_.chance(1, 2)) {
    log_.cut_power(random_, random_.below(9));
    last_end_ = End::power_cut;
  } else if (last_end_ == End::close) {
    last_end_ = End::kill;
  }
}

inline void Lives::live() {
  ++result_.lives;
  DiskTemper log_temper{.shortest = Nanoseconds{10'000}, .longest = Nanoseconds{300'000}};
  log_temper.slow_read = random_.chance(1, 3) ? 20U : 0U;
  log_temper.very_long = std::chrono::milliseconds{random_.chance(1, 2) ? 60 : 250};
  DiskTemper store_temper{.shortest = Nanoseconds{50'000}, .longest = std::chrono::milliseconds{3}};
  if (random_.chance(1, 4)) {
    store_temper.longest = std::chrono::milliseconds{100};
  }
  if (random_.chance(1, 4)) {
    store_temper.longest = Nanoseconds{100'000};
  }
  store_temper.fails = random_.chance(1, 8) ? 50U : 0U;
  look_at_superblock();
  lun_ = random_.chance(1, 6) ? any_size() : lun_;
  sizes_.push_back(lun_);
  Life life{*this, random_.next(), log_temper, store_temper};
  life.tasks.spawn("open", open(life));
  if (random_.chance(1, 6)) {
    end_while_opening(life);
    return;
  }
  run_tasks(life);
  if (life.log == nullptr) {
    return;
  }
  life.tasks.spawn("look", look(life));
  run_tasks(life);
  if (random_.chance(1, 16)) {
    log_temper.fails = 3;
    life.disk.set_temper(log_temper);
  }
  Habits habits{.large = random_.chance(1, 3)};
  if (full_ || random_.chance(1, 3)) {
    habits.durable = 2;
    habits.flushes = 1;
  }
  const std::size_t clients = 1 + random_.below(random_.chance(1, 2) ? 4 : most_clients);
  for (std::size_t i = 0; i < clients; ++i) {
    life.tasks.spawn("client", client(life, habits));
  }
  std::uint64_t longest = random_.chance(1, 4) ? 200 : 20;  // ms
  longest = log_temper.slow_read > 0 && random_.chance(1, 2) ? 400 : longest;
  const std::uint64_t time = random_.below(longest * 1000);
  if (random_.chance(1, 2)) {
    life.sim.run_for(std::chrono::microseconds{time});
  } else {
    run_to_superblock(life);
  }
  last_end_ = static_cast<End>(random_.below(5) / 2);
  const bool quiet = random_.chance(1, 8);
  if (quiet) {
    life.end.request();
    life.sim.run_for(std::chrono::milliseconds{random_.below(12000)});
  }
  failed_ = failed_ || life.log->state() != WriteLog::State::working;
  if (last_end_ != End::close) {
    life.disk.die();
    life.store.die();
  }
  life.end_all();
  run_tasks(life);
  failed_ = failed_ || (!life.disk.dead() && life.log->state() != WriteLog::State::working);
  const std::uint64_t blocks = life.log->written();
  result_.log_blocks = blocks;
  life.tasks.spawn("close", close(life));
  run_tasks(life);
  if (life.executor().stats().refused_wakes > 0) {
    complain("{} wakes were refused", life.executor().stats().refused_wakes);
  }
  const bool store_too = random_.chance(1, 2);
  if (last_end_ == End::power_cut) {
    log_.cut_power(random_, random_.below(9));
  }
  if (last_end_ == End::power_cut && store_too) {
    store_.cut_power(random_, random_.below(9));
  }
}

// The log is gone.
inline void Lives::judge_store() {
  std::vector<std::size_t> found(lun_blocks);
  std::uint64_t epoch = 0;
  std::vector<std::byte> bytes(block_);
  for (std::uint64_t lba = 0; lba < lun_blocks; ++lba) {
    store_.read(lba, bytes);
    const auto id = id_of(bytes, lba);
    const History& history = histories_[lba];
    const auto version = id ? history.find(*id, 0) : std::nullopt;
    if (!version) {
      complain("block {} of the store has {}, which must not show", lba,
               id ? std::to_string(*id) : "garbage");
      return;
    }
    found[lba] = *version;
    if (*id != 0) {  // there may be several of zeros
      epoch = std::max(epoch, history.versions[*version].issued_in);
    }
  }
  for (std::uint64_t lba = 0; lba < lun_blocks; ++lba) {
    const std::size_t least = histories_[lba].newest_durable(epoch);
    if (found[lba] < least) {
      complain(
          "without the log, block {} has version {}, although another has a change that was "
          "issued in epoch {}, when version {} was durable",
          lba, found[lba], epoch, least);
      return;
    }
  }
}

// A new log is mostly zeros, which the medium does not keep. So only its superblock is put there,
// as create() does it (create_test.cpp).
inline void Lives::make_log() {
  Superblock superblock;
  superblock.slot_sequence = 1;
  superblock.lun = options().identity.lun;
  superblock.block = block_;
  superblock.unit = static_cast<std::uint32_t>(unit_);
  superblock.tail = {.sequence = 1, .offset = ring_begin, .link = 0};
  std::array<std::byte, page> bytes;
  encode(superblock, bytes);
  log_.land(0, bytes);
  log_.keep_all();
}

inline LivesResult Lives::run() {
  make_log();
  const std::uint64_t lives = 2 + random_.below(8);
  while (result_.lives < lives && result_.complaints.empty()) {
    live();
  }
  // What a failing log had is written back once more after it was opened again, over what is newer.
  if (result_.complaints.empty() && !failed_ && order_ == Order::epoch) {
    judge_store();
  }
  return std::move(result_);
}

}  // namespace ballast::test
