// SPDX-License-Identifier: Apache-2.0
// A store lets its log go while the LUN is written. It ends, and whenever the process is killed or
// the power fails meanwhile, what the label then says is enough to find everything.
#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/backend/filter.h"
#include "lib/backend/log_control.h"
#include "lib/base/log.h"
#include "lib/co/sim_executor.h"
#include "lib/co/sleep.h"
#include "lib/write_log/create.h"
#include "lib/write_log/logged_store.h"
#include "tests/sim/sim_disk.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;
using namespace std::chrono_literals;
using backend::Fua;
using backend::Label;

namespace {

void no_log(LogLevel, std::string_view) {}

constexpr std::uint32_t block = 512;
constexpr std::uint64_t blocks = 256;

// What stays when the process ends.
struct Media {
  test::Medium log{ring_begin + fewest_segments * segment_bytes, page};
  test::Medium store{blocks * block, block};
  Label label;
};

// The store, with its label. Writing that takes a while; when the process ends meanwhile, it has
// happened or not.
class Labelled final : public backend::Filter {
 public:
  Labelled(test::SimDisk& disk, Media& media, std::uint64_t seed)
      : Filter{disk}, disk_{disk}, media_{media}, random_{seed} {}
  co::Task<Result<void>> write_label(std::optional<Label> label) override {
    if (disk_.dead()) {
      co_return Error{EIO, "dead"};
    }
    co_await co::sleep_for(disk_.executor(), Nanoseconds{3ms});
    if (!disk_.dead() || random_.chance(1, 2)) {
      media_.label = *label;
    }
    co_return Result<void>{};
  }
  co::Task<void> close() override { co_await disk_.close(); }

 private:
  test::SimDisk& disk_;
  Media& media_;
  co::Random random_;
};

class Lent final : public backend::Filter {
 public:
  explicit Lent(backend::Backend& inner) : Filter{inner} {}
};

Identity identity_of(const Media& media) {
  Identity identity;
  identity.log = media.label.log;
  identity.store = media.label.store;
  identity.owner = media.label.owner;
  identity.lun = Bytes{blocks * block};
  identity.block = block;
  return identity;
}

// What a block must have.
struct Known {
  std::uint64_t issued = 0;
  std::uint64_t written = 0;
  std::uint64_t durable = 0;
};

// One process.
class Life {
 public:
  Life(Media& media, std::uint64_t seed, const test::DiskTemper& store_temper)
      : sim{seed},
        disk{sim.executor(), media.log, seed + 1, page,
             test::DiskTemper{.shortest = Nanoseconds{20us}, .longest = Nanoseconds{80us}}},
        store{sim.executor(), media.store, seed + 2, block, store_temper},
        labelled{store, media, seed + 3},
        tasks{sim.executor()},
        random_{seed + 4},
        media_{media} {}

  void make() {
    media_.label = {.store = {7}, .log = {1}, .owner = 0, .host = "h", .path = "/log"};
    NewLog wanted;
    wanted.log = media_.label.log;
    wanted.identity = identity_of(media_);
    BALLAST_ASSERT(run(create(disk, wanted)).ok());
  }
  // With the log, if the label names one.
  std::string open(const Sabotage& sabotage = {}) {
    if (!media_.label.names_log()) {
      lun = std::make_unique<Lent>(labelled);
      return {};
    }
    WriteLog::Options options;
    options.identity = identity_of(media_);
    options.sabotage = sabotage;
    Result<std::unique_ptr<WriteLog>> log = run(WriteLog::open(disk, labelled, options));
    if (!log.ok()) {
      return log.error().message;
    }
    lun = std::make_unique<LoggedStore>(std::make_unique<Lent>(labelled),
                                        std::make_unique<Lent>(disk), std::move(log).value(),
                                        media_.label, block, sabotage);
    return {};
  }
  template <class T>
  T run(co::Task<T> task) {
    std::optional<T> result;
    tasks.spawn("test", keep(sim.executor(), std::move(task), &result));
    sim.run_ready();
    while (!result.has_value() && sim.advance()) {
    }
    BALLAST_ASSERT(result.has_value());
    return std::move(*result);
  }
  // All of it is dead, or idle.
  void close() {
    ends_.request();
    tasks.spawn("close", close(sim.executor(), lun.get()));
    for (int i = 0; i < 1000 && tasks.live() > 0; ++i) {
      sim.run_for(1s);
    }
    BALLAST_ASSERT(tasks.live() == 0);
  }
  std::string_view state() { return lun->log_control()->view().state; }
  void load(std::array<Known, blocks>& known, std::size_t clients, bool flushes) {
    for (std::size_t client = 0; client < clients; ++client) {
      tasks.spawn("client", write(sim.executor(), this, &known, client, clients, flushes));
    }
  }
  void keep_wanting() { tasks.spawn("ballastctl", want(sim.executor(), this)); }
  std::uint64_t changes() const { return changes_; }
  Nanoseconds longest() const { return longest_; }
  std::uint64_t read(std::uint64_t lba) {
    std::vector<std::byte> bytes(block);
    const iovec segment{bytes.data(), bytes.size()};
    BALLAST_ASSERT(ok(run(lun->read(Bytes{lba * block}, io::SgView{std::span{&segment, 1}}, {}))));
    std::uint64_t id = 0;
    std::memcpy(&id, bytes.data(), sizeof id);
    return id;
  }

  co::SimExecutor sim;
  test::SimDisk disk;
  test::SimDisk store;
  Labelled labelled;
  co::TaskGroup tasks;
  std::unique_ptr<backend::Backend> lun;

 private:
  template <class T>
  static co::Task<void> keep(co::Executor&, co::Task<T> task, std::optional<T>* result) {
    T value = co_await std::move(task);
    result->emplace(std::move(value));
  }
  static co::Task<void> close(co::Executor&, backend::Backend* lun) { co_await lun->close(); }
  static co::Task<void> want(co::Executor& executor, Life* self) {
    while (!self->ends_.requested() && self->state() != "let go") {
      self->lun->log_control()->want_to_let_go();
      (void)co_await co::sleep_for(executor, Nanoseconds{1s}, self->ends_.token());
    }
  }
  // Writes the blocks that are its own, one after the other.
  static co::Task<void> write(co::Executor& executor, Life* self, std::array<Known, blocks>* known,
                              std::size_t client, std::size_t clients, bool flushes) {
    std::vector<std::byte> bytes(block);
    const iovec segment{bytes.data(), bytes.size()};
    const std::span<const iovec> segments{&segment, 1};
    const io::SgView view{segments};
    while (!self->ends_.requested() && !self->disk.dead()) {
      if (flushes && self->random_.chance(1, 10)) {
        const std::array<Known, blocks> before = *known;
        const IoStatus status = co_await self->lun->flush({});
        for (std::uint64_t i = 0; ok(status) && !self->disk.dead() && i < blocks; ++i) {
          (*known)[i].durable = std::max((*known)[i].durable, before[i].written);
        }
        continue;
      }
      const std::uint64_t lba = self->random_.below(blocks / clients) * clients + client;
      Known& its = (*known)[lba];
      ++its.issued;
      const std::uint64_t id = its.issued;
      for (std::size_t at = 0; at < bytes.size(); at += sizeof id) {
        std::memcpy(bytes.data() + at, &id, sizeof id);
      }
      const bool durable = flushes && self->random_.chance(1, 5);
      // The store has no FUA: once the log is gone, a flush does it.
      const bool fua = durable && self->lun->capabilities().fua;
      const TimePoint begin = executor.now();
      const IoStatus status =
          co_await self->lun->write(Bytes{lba * block}, view, fua ? Fua::yes : Fua::no, {});
      if (ok(status) && !self->disk.dead()) {
        its.written = std::max(its.written, id);
        its.durable = fua ? std::max(its.durable, id) : its.durable;
        ++self->changes_;
        self->longest_ = std::max(self->longest_, executor.now() - begin);
      }
      co_await co::yield(executor);
    }
  }

  co::Random random_;
  Media& media_;
  co::CancelSource ends_;
  std::uint64_t changes_ = 0;
  Nanoseconds longest_{};
};

constexpr test::DiskTemper quick{.shortest = Nanoseconds{20us}, .longest = Nanoseconds{100us}};
constexpr test::DiskTemper slow{.shortest = Nanoseconds{1ms}, .longest = Nanoseconds{5ms}};

enum class End : std::uint8_t { kill, power_cut };

struct Found {
  std::string complaint;
  bool let_go = false;
};

Found live_and_look(std::uint64_t seed, const Sabotage& sabotage) {
  co::Random random{seed * 7919};
  Media media;
  std::array<Known, blocks> known{};
  const End end = random.chance(1, 2) ? End::kill : End::power_cut;
  {
    Life life{media, seed, random.chance(1, 2) ? slow : quick};
    life.make();
    BALLAST_ASSERT(life.open(sabotage).empty());
    life.load(known, 4, true);
    life.sim.run_for(Nanoseconds{static_cast<std::int64_t>(random.below(100'000'000))});
    life.keep_wanting();
    life.sim.run_for(Nanoseconds{static_cast<std::int64_t>(random.below(300'000'000))});
    life.disk.die();
    life.store.die();
    life.close();
  }
  if (end == End::kill) {
    media.log.keep_all();
    media.store.keep_all();
  } else {
    media.log.cut_power(random, random.below(9));
    media.store.cut_power(random, random.below(9));
  }
  Found found;
  found.let_go = !media.label.names_log();
  Life next{media, seed + 1000, quick};
  found.complaint = next.open();
  for (std::uint64_t lba = 0; found.complaint.empty() && lba < blocks; ++lba) {
    const std::uint64_t id = next.read(lba);
    // A store that has let its log go keeps after a kill what a LUN without a log keeps.
    const std::uint64_t least = end == End::kill ? known[lba].written : known[lba].durable;
    if (id < least || id > known[lba].issued) {
      found.complaint =
          fmt::format("block {} has change {}, and must have {} to {} ({}, {})", lba, id, least,
                      known[lba].issued, end == End::kill ? "killed" : "power cut",
                      found.let_go ? "let go" : "with its log");
    }
  }
  if (next.lun != nullptr) {
    next.close();
  }
  return found;
}

void whenever_it_ends_everything_is_found(void**) {
  constexpr std::uint64_t seeds = 150;
  std::uint64_t let_go = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Found found = live_and_look(seed, {});
    if (!found.complaint.empty()) {
      print_error("seed %lu: %s\n", seed, found.complaint.c_str());
    }
    assert_string_equal(found.complaint.c_str(), "");
    let_go += found.let_go ? 1 : 0;
  }
  // It ended before the log was gone, and after.
  assert_in_range(let_go, seeds / 10, seeds - seeds / 10);
}

bool is_noticed(const Sabotage& sabotage) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    if (!live_and_look(seed, sabotage).complaint.empty()) {
      return true;
    }
  }
  return false;
}

void a_label_that_comes_too_early_is_noticed(void**) {
  assert_true(is_noticed({.lets_go_too_early = true}));
}

void a_log_that_takes_changes_too_late_is_noticed(void**) {
  assert_true(is_noticed({.log_takes_late = true}));
}

// Sixteen writers that never pause fill half of the log, before somebody wants it to go.
void it_ends_under_a_load_that_does_not(void**) {
  Media media;
  std::array<Known, blocks> known{};
  Life life{media, 1, slow};
  life.make();
  assert_string_equal(life.open().c_str(), "");
  life.load(known, 16, true);
  auto& log = static_cast<LoggedStore&>(*life.lun).write_log();
  while (log.fullness() < 500) {
    life.sim.run_for(1s);
  }
  const std::uint64_t before = life.changes();
  const std::optional<Nanoseconds> needed = log.time_to_drain();
  assert_true(needed.has_value());
  const TimePoint begin = life.sim.now();
  life.keep_wanting();
  while (life.state() != "let go" && life.sim.now() - begin < 10 * *needed) {
    life.sim.run_for(100ms);
  }
  assert_string_equal(std::string{life.state()}.c_str(), "let go");
  print_message(
      "half a log is gone after %.1f times what the store needs for it; %lu changes "
      "meanwhile, the longest %.2f s\n",
      static_cast<double>((life.sim.now() - begin).count()) / static_cast<double>(needed->count()),
      life.changes() - before, static_cast<double>(life.longest().count()) / 1e9);
  assert_true(life.sim.now() - begin < 3 * *needed + Nanoseconds{5s});
  assert_true(life.longest() < Nanoseconds{5s});
  assert_true(life.changes() > before + 100);
  life.close();
}

}  // namespace

int main() {
  set_log_sink(&no_log);
  const CMUnitTest tests[] = {
      cmocka_unit_test(whenever_it_ends_everything_is_found),
      cmocka_unit_test(a_label_that_comes_too_early_is_noticed),
      cmocka_unit_test(a_log_that_takes_changes_too_late_is_noticed),
      cmocka_unit_test(it_ends_under_a_load_that_does_not),
  };
  return cmocka_run_group_tests_name("let_go", tests, nullptr, nullptr);
}
