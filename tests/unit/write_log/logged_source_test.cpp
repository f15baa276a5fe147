// SPDX-License-Identifier: Apache-2.0
// A store that gets its first log.
#include "lib/write_log/logged_source.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/backend/checked.h"
#include "lib/backend/kinds.h"
#include "lib/co/sim_executor.h"
#include "lib/co/task_group.h"
#include "tests/sim/sim_disk.h"
#include "tests/unit/volume/spy_backend.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;
using test::SpyBackend;

namespace {

constexpr Bytes lun{1 << 20};
constexpr Bytes block{512};
constexpr Bytes log_size{ring_begin + fewest_segments * segment_bytes};

struct Site {
  Site() {
    auto inner = std::make_unique<SpyBackend>(sim.executor(), lun, block);
    spy = inner.get();
    backend::StoreOrder order;
    order.config.kind = backend::find_kind("memory");
    order.lun = "vol0";
    order.size = lun;
    order.logical_block = block;
    source.emplace(
        sim.executor(),
        std::make_unique<backend::OpenedSource>(backend::make_checked(std::move(inner))),
        std::move(order), LogConfig{.path = "/log", .size = log_size},
        [this](bool) -> Result<std::unique_ptr<backend::StoreSource>> {
          return std::unique_ptr<backend::StoreSource>{
              std::make_unique<backend::OpenedSource>(backend::make_checked(
                  std::make_unique<test::SimDisk>(sim.executor(), medium, 1, page, temper)))};
        });
  }

  static co::Task<void> keep(co::Executor&, co::Task<Result<void>> task,
                             std::optional<Result<void>>* result) {
    Result<void> ended = co_await std::move(task);
    *result = std::move(ended);
  }
  static co::Task<void> close(co::Executor&, backend::Backend* store) { co_await store->close(); }

  // The order in which the store was asked; empty if it was refused, and so has gone.
  std::vector<std::string> finish() {
    group.spawn("finish", keep(sim.executor(), source->finish(sim.executor(), {}), &finished));
    sim.run_for(std::chrono::minutes{10});
    std::vector<std::string> names;
    if (finished->ok()) {
      for (const test::BackendOp& op : spy->ops) {
        names.push_back(op.name);
      }
      store = source->take();
      group.spawn("close", close(sim.executor(), store.backend.get()));
      sim.run_for(std::chrono::minutes{10});
    }
    return names;
  }

  static constexpr test::DiskTemper temper{.shortest = Nanoseconds{50'000},
                                           .longest = Nanoseconds{100'000}};
  co::SimExecutor sim{1, "test"};
  co::TaskGroup group{sim.executor()};
  test::Medium medium{log_size.value(), page};
  SpyBackend* spy = nullptr;
  std::optional<LoggedSource> source;
  std::optional<Result<void>> finished;
  backend::Store store;
};

void the_store_is_flushed_before_its_label_names_a_log(void**) {
  Site site;
  const std::vector<std::string> asked = site.finish();
  assert_true(site.finished->ok());
  const std::vector<std::string> begin{"flush", "write_label"};
  assert_true(asked.size() >= begin.size() && std::ranges::equal(begin, std::span{asked}.first(2)));
  assert_true(site.store.unheard_flush == nullptr);
}

void a_first_flush_that_fails_is_kept_for_the_initiator(void**) {
  Site site;
  site.spy->failures["flush"] = IoStatus::medium_error;
  (void)site.finish();
  assert_true(site.finished->ok());
  assert_true(site.store.unheard_flush != nullptr);
  assert_int_equal(site.store.unheard_flush->load(), IoStatus::medium_error);
}

void a_store_without_a_label_gets_no_log(void**) {
  Site site;
  site.spy->failures["write_label"] = IoStatus::medium_error;
  (void)site.finish();
  assert_false(site.finished->ok());
  assert_string_equal(site.finished->error().message.c_str(), "the test refuses the label");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_store_is_flushed_before_its_label_names_a_log),
      cmocka_unit_test(a_first_flush_that_fails_is_kept_for_the_initiator),
      cmocka_unit_test(a_store_without_a_label_gets_no_log),
  };
  return cmocka_run_group_tests_name("logged_source", tests, nullptr, nullptr);
}
