// SPDX-License-Identifier: Apache-2.0
// Writers that want more than the store takes, in simulated time.
#include "lib/write_log/pacer.h"

#include <algorithm>

#include "lib/backend/filter.h"
#include "lib/base/log.h"
#include "lib/co/mutex.h"
#include "tests/unit/write_log/rig.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

void no_log(LogLevel, std::string_view) {}

// Takes a write after another, each in the time of its bytes, and may stand still.
class Narrow final : public backend::Filter {
 public:
  static constexpr std::uint64_t bytes_per_ms = 20'000;  // 20 MB/s
  explicit Narrow(backend::Backend& inner) : Filter{inner}, turn_{inner.executor()} {}
  co::Task<IoStatus> write(Bytes offset, io::SgView from, backend::Fua fua,
                           co::CancelToken cancel) override {
    const co::Mutex::Guard alone = co_await turn_.lock();
    while (still_) {
      co_await co::sleep_for(executor(), milliseconds{100});
    }
    co_await co::sleep_for(executor(), Nanoseconds{milliseconds{1}} * from.size() / bytes_per_ms);
    taken_ += from.size();
    const IoStatus status = co_await Filter::write(offset, from, fua, cancel);
    co_return status;
  }
  std::uint64_t taken() const { return taken_; }
  void stand_still() { still_ = true; }
  void end() { still_ = false; }

 private:
  co::Mutex turn_;
  std::uint64_t taken_ = 0;
  bool still_ = false;
};

constexpr std::uint64_t change_bytes = 64 << 10;
constexpr std::uint64_t change_blocks = change_bytes / test::rig_block;
constexpr std::uint64_t writer_blocks = 2048;  // each has its own part of the LUN

struct Site : test::RigMedia {
  Site() {
    BALLAST_ASSERT(rig.make().ok());
    WriteLog::Options options;
    options.identity = test::rig_identity();
    Result<std::unique_ptr<WriteLog>> opened = rig.run(WriteLog::open(rig.disk, store_, options));
    BALLAST_ASSERT(opened.ok());
    rig.log = std::move(opened).value();
  }
  ~Site() {
    end.request();
    store_.end();
    rig.run(rig.log->close());
    rig.log = nullptr;
  }
  void run_until(std::uint64_t fullness) {
    while (rig.log->fullness() < fullness) {
      BALLAST_ASSERT(rig.sim.advance());
    }
  }
  void begin_writers(std::uint64_t count);

  test::Rig rig{*this};
  Narrow store_{rig.store};
  co::CancelSource end;
  std::uint64_t appended = 0;
  Nanoseconds longest{};
};

co::Task<void> write_on(co::Executor& executor, Site* site, std::uint64_t number) {
  std::vector<std::byte> data(change_bytes, std::byte{'x'});
  const iovec segment{data.data(), data.size()};
  const io::SgView view{std::span{&segment, 1}};
  for (std::uint64_t at = 0; !site->end.requested(); at = (at + change_blocks) % writer_blocks) {
    const Change change{.kind = Kind::data,
                        .lba = Lba{number * writer_blocks + at},
                        .blocks = BlockCount{change_blocks},
                        .data = view};
    const TimePoint began = executor.now();
    const IoStatus status =
        co_await site->rig.log->append(change, Until::written, site->end.token());
    if (ok(status)) {
      site->appended += change_bytes;
      site->longest = std::max(site->longest, executor.now() - began);
    }
  }
}

void Site::begin_writers(std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    rig.tasks.spawn("writer", write_on(rig.sim.executor(), this, i));
  }
  rig.sim.run_ready();
}

void writers_are_as_fast_as_the_store_and_none_waits_long(void**) {
  Site site;
  site.begin_writers(32);
  site.rig.sim.run_for(seconds{10});
  const std::uint64_t taken = site.store_.taken();
  const std::uint64_t appended = site.appended;
  std::uint64_t fullest = 0;
  site.longest = {};
  for (int i = 0; i < 2000; ++i) {
    site.rig.sim.run_for(milliseconds{10});
    fullest = std::max(fullest, site.rig.log->fullness());
  }
  const std::uint64_t could = 20'000 * Narrow::bytes_per_ms;
  assert_in_range(site.store_.taken() - taken, could * 95 / 100, could);
  assert_in_range(site.appended - appended, could * 90 / 100, could * 105 / 100);
  // What 32 writers wait for is 2 MiB; the store takes 105 ms for it, and 210 ms for a batch.
  assert_true(site.longest < milliseconds{500});
  assert_in_range(fullest, 750, 950);
}

void nobody_is_slowed_below_three_quarters(void**) {
  Site site;
  site.begin_writers(4);
  site.run_until(740);
  assert_true(site.longest < milliseconds{5});
}

void nobody_is_slowed_by_a_store_that_stands_still_until_the_log_is_full(void**) {
  Site site;
  site.begin_writers(4);
  site.run_until(500);
  site.store_.stand_still();
  site.end.request();
  site.rig.sim.run_for(seconds{5});
  assert_true(site.rig.log->fullness() < 600);
  site.longest = {};
  while (site.rig.log->takes_changes()) {
    const Change change = site.rig.change(0, change_blocks, 'a');
    const TimePoint began = site.rig.sim.now();
    bool came = false;
    site.rig.tasks.spawn(
        "write", [](co::Executor&, WriteLog* log, Change its, bool* ended) -> co::Task<void> {
          const IoStatus status = co_await log->append(its, Until::written);
          *ended = ok(status);
        }(site.rig.sim.executor(), site.rig.log.get(), change, &came));
    site.rig.sim.run_ready();
    while (!came) {
      assert_true(site.rig.sim.advance());
    }
    assert_true(site.rig.sim.now() - began < milliseconds{5});
  }
  assert_true(site.rig.log->fullness() > 930);
}

void a_store_that_stops_lets_the_log_fill_up(void**) {
  Site site;
  site.begin_writers(32);
  site.rig.sim.run_for(seconds{10});
  assert_true(site.rig.log->fullness() < 950);
  site.store_.stand_still();
  site.rig.sim.run_for(seconds{3});
  assert_false(site.rig.log->takes_changes());
  assert_true(site.rig.log->fullness() > 930);
}

void a_change_that_is_paced_needs_the_store(void**) {
  Site site;
  site.begin_writers(4);
  site.run_until(740);
  assert_true(site.rig.log->takes_changes());
  site.end.request();
  site.rig.sim.run_for(seconds{5});
  Site paced;
  paced.begin_writers(32);
  paced.rig.sim.run_for(seconds{10});
  int times = 0;
  for (int i = 0; i < 100; ++i) {
    paced.rig.sim.run_for(milliseconds{10});
    times += paced.rig.log->takes_changes() ? 0 : 1;
  }
  assert_true(times > 50);
}

// Else they would go on sleeping, while the log says that it takes changes.
void writers_are_slowed_no_longer_than_the_log_is_to_get_empty(void**) {
  const auto at = [](int second) { return TimePoint{seconds{second}}; };
  const Ring ring{{.segments = fewest_segments}, {}, {}};
  Pacer pacer{ring};
  pacer.begins(at(0));
  pacer.answered(at(10));
  pacer.trimmed(1000, at(10));
  pacer.begins(at(10));
  pacer.took(500, at(10));
  assert_true(pacer.next(at(11)) == at(11));
  pacer.empty_until(at(60));
  assert_true(pacer.next(at(11)) == at(20));
  pacer.empty_until(at(12));
  assert_true(pacer.next(at(11)) == at(12));
}

void a_change_is_cancelled_while_it_is_paced(void**) {
  Site site;
  site.begin_writers(31);
  site.rig.sim.run_for(seconds{10});
  co::CancelSource cancel;
  IoStatus status = IoStatus::ok;
  TimePoint ended{};
  const Change change = site.rig.change(31 * writer_blocks, 1, 'a');
  site.rig.tasks.spawn(
      "write",
      [](co::Executor& executor, WriteLog* log, Change its, co::CancelToken token, IoStatus* result,
         TimePoint* at) -> co::Task<void> {
        *result = co_await log->append(its, Until::written, token);
        *at = executor.now();
      }(site.rig.sim.executor(), site.rig.log.get(), change, cancel.token(), &status, &ended));
  site.rig.sim.run_ready();
  const TimePoint asked = site.rig.sim.now();
  cancel.request();
  site.rig.sim.run_for(seconds{1});
  assert_int_equal(status, IoStatus::cancelled);
  assert_true(ended == asked);
}

}  // namespace

int main() {
  set_log_sink(&no_log);
  const CMUnitTest tests[] = {
      cmocka_unit_test(writers_are_as_fast_as_the_store_and_none_waits_long),
      cmocka_unit_test(nobody_is_slowed_below_three_quarters),
      cmocka_unit_test(nobody_is_slowed_by_a_store_that_stands_still_until_the_log_is_full),
      cmocka_unit_test(a_store_that_stops_lets_the_log_fill_up),
      cmocka_unit_test(a_change_that_is_paced_needs_the_store),
      cmocka_unit_test(writers_are_slowed_no_longer_than_the_log_is_to_get_empty),
      cmocka_unit_test(a_change_is_cancelled_while_it_is_paced),
  };
  return cmocka_run_group_tests_name("pacer", tests, nullptr, nullptr);
}
