// SPDX-License-Identifier: Apache-2.0
// A read or a write takes nothing from the heap once the pools are warm.
#include "lib/backend/null.h"
#include "tests/unit/counting_new.h"
#include "tests/unit/scsi/rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;

namespace {

co::Task<void> repeat(co::Executor&, scsi::Disk* disk, scsi::Command* command, std::size_t times,
                      std::size_t* good) {
  for (std::size_t i = 0; i < times; ++i) {
    const scsi::Status status = co_await disk->execute(*command);
    *good += status == scsi::Status::good ? 1 : 0;
  }
}

co::Task<void> close(backend::Backend* backend) {
  co_await backend->close();
}

void run(co::Executor& executor) {
  while (!executor.idle()) {
    (void)executor.tick();
  }
}

void reads_and_writes_allocate_nothing(void**) {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
  const std::unique_ptr<backend::Backend> backend =
      backend::make_checked(backend::make_null(executor, Bytes{1 << 20}, Bytes{512}));
  volume::Volume volume{*backend, volume::VolumeConfig{}};
  scsi::Disk disk{volume, usual_config()};
  const Data data{Bytes8(4096)};
  for (const std::uint8_t opcode : Bytes8{0x28, 0x2a}) {
    const Bytes8 cdb = cdb_of(opcode, 0, 8, 8);
    std::array<std::uint8_t, scsi::sense_size> sense{};
    scsi::Command command;
    command.sense = sense;
    command.cdb = cdb;
    command.data = data.view();
    std::size_t good = 0;
    group.spawn("warm", repeat(executor, &disk, &command, 100, &good));
    run(executor);
    group.spawn("measured", repeat(executor, &disk, &command, 1000, &good));
    const std::uint64_t before = allocations;
    run(executor);
    const std::uint64_t taken = allocations - before;
    assert_int_equal(good, 1100);
    assert_int_equal(taken, 0);
  }
  group.spawn("close", close(backend.get()));
  run(executor);
  assert_int_equal(executor.stats().refused_wakes, 0);
}

}  // namespace

int main() {
  if (!counts_allocations) {
    return cannot_count();
  }
  const CMUnitTest tests[] = {cmocka_unit_test(reads_and_writes_allocate_nothing)};
  return cmocka_run_group_tests_name("allocation", tests, nullptr, nullptr);
}
