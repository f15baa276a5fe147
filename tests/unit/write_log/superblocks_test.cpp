// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/superblocks.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "lib/co/sim_executor.h"
#include "lib/co/task_group.h"
#include "tests/unit/volume/spy_backend.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;
using test::BackendOp;

namespace {

Superblock a_superblock() {
  Superblock superblock;
  superblock.incarnation = 1;
  superblock.lun = Bytes{1 << 20};
  superblock.segments = fewest_segments;
  superblock.tail = {.sequence = 1, .offset = ring_begin, .link = 0};
  superblock.host = "gateway1";
  superblock.store_name = "file=/srv/vol0.raw";
  return superblock;
}

struct Site {
  Site() { spy.pretend().volatile_cache = true; }
  ~Site() {
    group.spawn("close", spy.close());
    sim.run_until_idle();
  }
  static co::Task<void> keep(co::Executor&, co::Task<IoStatus> task,
                             std::optional<IoStatus>* result) {
    const IoStatus status = co_await std::move(task);
    *result = status;
  }
  IoStatus write() {
    spy.ops.clear();
    std::optional<IoStatus> status;
    group.spawn("write", keep(sim.executor(), superblocks.write(a_superblock()), &status));
    sim.run_until_idle();
    return *status;
  }

  co::SimExecutor sim{1, "test"};
  co::TaskGroup group{sim.executor()};
  test::SpyBackend spy{sim.executor(), Bytes{ring_begin}, Bytes{page}};
  Device device{spy};
  Superblocks superblocks{device};
};

const BackendOp flush{"flush", 0, 0, false};
BackendOp write_at(std::uint64_t offset) {
  return {"write", offset, page, false};
}

void a_superblock_is_durable_when_its_write_ends_and_the_other_place_is_next(void**) {
  Site site;
  for (const std::uint64_t place : {std::uint64_t{0}, superblock_b, std::uint64_t{0}}) {
    assert_int_equal(site.write(), IoStatus::ok);
    assert_true(site.spy.ops == (std::vector{write_at(place), flush}));
  }
}

void one_that_is_not_durable_does_not_endanger_the_other_place(void**) {
  for (const char* const fails : {"write", "flush"}) {
    Site site;
    assert_int_equal(site.write(), IoStatus::ok);
    site.spy.failures = {{fails, IoStatus::medium_error}};
    for (int tries = 0; tries < 2; ++tries) {
      assert_int_equal(site.write(), IoStatus::medium_error);
      assert_int_equal(std::ranges::count(site.spy.ops, write_at(0)), 0);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_superblock_is_durable_when_its_write_ends_and_the_other_place_is_next),
      cmocka_unit_test(one_that_is_not_durable_does_not_endanger_the_other_place),
  };
  return cmocka_run_group_tests_name("superblocks", tests, nullptr, nullptr);
}
