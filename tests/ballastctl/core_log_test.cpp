// SPDX-License-Identifier: Apache-2.0
// What ballastctl core reads of a write log in the states that pass too quickly for a test of a
// whole plugin. This process has such a log, and reads itself.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/backend/checked.h"
#include "lib/backend/log_control.h"
#include "lib/base/log.h"
#include "lib/co/sim_executor.h"
#include "lib/co/task_group.h"
#include "lib/write_log/create.h"
#include "lib/write_log/logged_store.h"
#include "targetcli-config/ballastctl/core/store.h"
#include "targetcli-config/ballastctl/core/views.h"
#include "tests/ballastctl/picture.h"
#include "tests/unit/volume/spy_backend.h"

// after the others
#include "tests/cmocka.h"
#include "tests/json_manual.h"

using namespace ballast;
using namespace ballast::ctl::core;
using namespace ballast::write_log;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t block = 512;
constexpr Bytes lun{std::uint64_t{8} << 20};
constexpr Bytes log_size{ring_begin + fewest_segments * segment_bytes};

class Site {
 public:
  Site() {
    auto on_disk = std::make_unique<test::SpyBackend>(sim.executor(), log_size, Bytes{block});
    disk = on_disk.get();
    disk->pretend().volatile_cache = true;
    auto below = std::make_unique<test::SpyBackend>(sim.executor(), lun, Bytes{block});
    store = below.get();
    std::unique_ptr<backend::Backend> checked_disk = backend::make_checked(std::move(on_disk));
    std::unique_ptr<backend::Backend> checked_store = backend::make_checked(std::move(below));
    Identity identity;
    identity.lun = lun;
    identity.block = block;
    NewLog wanted;
    wanted.identity = identity;
    BALLAST_ASSERT(run(create(*checked_disk, wanted)).ok());
    WriteLog::Options options;
    options.identity = identity;
    auto log = std::move(run(WriteLog::open(*checked_disk, *checked_store, options))).value();
    backend = std::make_unique<LoggedStore>(std::move(checked_store), std::move(checked_disk),
                                            std::move(log), backend::Label{}, block);
    sim.run_for(10s);  // the first block is sealed, and the store has everything
  }
  ~Site() {
    disk->gate_of = {};
    disk->gate.set();
    frozen.set();
    store->gate.set();
    tasks.spawn("close", backend->close());
    sim.run_for(10min);
    BALLAST_ASSERT(tasks.live() == 0);
  }

  template <class T>
  T run(co::Task<T> task) {
    std::optional<T> result;
    tasks.spawn("test", keep(sim.executor(), std::move(task), &result));
    sim.run_for(10ms);
    BALLAST_ASSERT(result.has_value());
    return std::move(*result);
  }
  // A write of one block that need not end.
  void begin_write(std::uint64_t lba) {
    tasks.spawn("a change", write(sim.executor(), Bytes{lba * block}));
    sim.run_for(1ms);
  }

  co::SimExecutor sim{1};
  co::TaskGroup tasks{sim.executor()};
  co::Event frozen{sim.executor()};  // what waits for it waits to the end
  test::SpyBackend* disk = nullptr;
  test::SpyBackend* store = nullptr;
  std::unique_ptr<LoggedStore> backend;

 private:
  template <class T>
  static co::Task<void> keep(co::Executor&, co::Task<T> task, std::optional<T>* result) {
    T value = co_await std::move(task);
    result->emplace(std::move(value));
  }
  co::Task<void> write(co::Executor&, Bytes offset) {
    const std::span<const iovec> segments{&segment_, 1};
    const io::SgView from{segments};
    (void)co_await backend->write(offset, from, backend::Fua::no, {});
  }
  std::vector<std::byte> data_ = std::vector<std::byte>(block, std::byte{'a'});
  iovec segment_{data_.data(), data_.size()};
};

// What is read of the site's log. Where the live one tells the same fact, it must.
Json read(Site& site) {
  const test::Picture picture;
  watch::LunSnapshot dead;
  describe_store(picture.only(), picture.process().now(), dead);
  const watch::LogView live = site.backend->log_control()->view();
  assert_true(dead.log.has_value());
  assert_string_equal(dead.log->state, live.state);
  assert_string_equal(dead.log->device.c_str(), live.device.c_str());
  assert_true(dead.log->used == live.used && dead.log->size == live.size);
  assert_int_equal(dead.log->first, live.first);
  assert_int_equal(dead.log->last, live.last);
  assert_true(dead.log->oldest == live.oldest);
  assert_true(dead.log->store_speed == live.store_speed);
  assert_int_equal(dead.log->epoch, live.epoch);
  Json json = more_of_log(DeadLog::of(picture.only()).value());
  test::expect_in_manual(json, {"core log"});
  json["mutexes"] = locks(picture.process()).at(0).at("mutexes");
  return json;
}

std::uint64_t blocks(const Json& log, const char* state) {
  for (const Json& range : log.at("by_state")) {
    if (range.at("state") == state) {
      return range.at("blocks").get<std::uint64_t>();
    }
  }
  return ~std::uint64_t{0};
}

void a_log_that_rests_has_nothing(void**) {
  Site site;
  const Json log = read(site);
  for (const char* const state : {"written back", "durable", "written", "closed", "open"}) {
    assert_int_equal(blocks(log, state), 0);
  }
  assert_string_equal(log.at("reaper").at("does").get<std::string>().c_str(),
                      "waits until it is time");
  assert_true(log.at("reaper").at("first_block").is_null());
  assert_true(log.at("tail") == log.at("next"));
}

void changes_are_in_a_closed_block_and_in_the_open_one(void**) {
  Site site;
  site.disk->gate.reset();
  for (const std::uint64_t lba : {1U, 2U, 3U}) {
    site.begin_write(lba);
  }
  const Json log = read(site);
  assert_int_equal(blocks(log, "closed"), 1);
  assert_int_equal(blocks(log, "open"), 1);
  assert_int_equal(log.at("open_changes").get<std::uint64_t>(), 2);
  assert_int_equal(log.at("open_bytes").get<std::uint64_t>(), 2 * block);
  assert_int_equal(log.at("at_device").size(), 1);
  const Json& closed = log.at("at_device").at(0);
  assert_int_equal(closed.at("changes").get<std::uint64_t>(), 1);
  assert_int_equal(closed.at("length_bytes").get<std::uint64_t>(), 2 * page);
  assert_false(closed.at("ended").get<bool>());
  assert_true(closed.at("block") == log.at("by_state").at(4).at("last_block"));
}

void a_change_is_written_and_then_durable(void**) {
  Site site;
  site.store->gate.reset();
  site.begin_write(1);
  site.sim.run_for(10ms);
  Json log = read(site);
  assert_int_equal(blocks(log, "written"), 1);
  assert_int_equal(blocks(log, "durable"), 0);
  site.sim.run_for(10s);
  log = read(site);
  assert_int_equal(blocks(log, "written"), 0);
  assert_int_equal(blocks(log, "durable"), 2);  // it, and a seal
  assert_string_equal(log.at("reaper").at("does").get<std::string>().c_str(),
                      "writes its batch to the store");
  assert_true(log.at("reaper").at("first_block") == log.at("tail").at("block"));
}

void what_the_superblock_does_not_say_yet_is_written_back(void**) {
  Site site;
  site.disk->gate_of = [&site](const test::BackendOp& op) -> co::Event& {
    return op.name == "write" && op.offset < ring_begin ? site.frozen : site.disk->gate;
  };
  site.begin_write(1);
  site.sim.run_for(10s);
  const Json log = read(site);
  assert_true(blocks(log, "written back") > 0);
  assert_string_equal(log.at("reaper").at("does").get<std::string>().c_str(),
                      "gives the room of its batch back");
  const Json& mutex = log.at("mutexes").at(0);
  assert_string_equal(mutex.at("mutex").get<std::string>().c_str(), "the log's superblock");
  assert_string_equal(mutex.at("owner").at("task").get<std::string>().c_str(), "the log's reaper");
}

void a_log_whose_disk_failed_is_failing(void**) {
  Site site;
  site.store->gate.reset();
  site.begin_write(1);
  site.sim.run_for(10s);
  site.disk->failures["write"] = IoStatus::medium_error;
  site.begin_write(2);
  site.sim.run_for(1s);
  (void)read(site);
  assert_string_equal(site.backend->log_control()->view().state, "failing");
}

}  // namespace

int main() {
  set_log_sink([](LogLevel, std::string_view) {});
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_log_that_rests_has_nothing),
      cmocka_unit_test(changes_are_in_a_closed_block_and_in_the_open_one),
      cmocka_unit_test(a_change_is_written_and_then_durable),
      cmocka_unit_test(what_the_superblock_does_not_say_yet_is_written_back),
      cmocka_unit_test(a_log_whose_disk_failed_is_failing),
  };
  return cmocka_run_group_tests_name("core_log", tests, nullptr, nullptr);
}
