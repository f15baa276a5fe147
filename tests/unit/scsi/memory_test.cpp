// SPDX-License-Identifier: Apache-2.0
// Measures the memory that a command takes besides its data while it is at the backend: frames,
// wait records, the slot of the operation, all of it.
#include "lib/scsi/task_set.h"
#include "lib/watch/slow_log.h"
#include "tests/unit/backend/lab.h"
#include "tests/unit/counting_new.h"
#include "tests/unit/scsi/rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;

namespace {

constexpr std::size_t commands = 512;

class CountingFrontEnd final : public scsi::FrontEnd {
 public:
  void answer(scsi::Command&, scsi::Status status) override {
    good += status == scsi::Status::good ? 1U : 0U;
  }
  std::size_t good = 0;
};

co::Task<void> end(co::Executor&, scsi::TaskSet* tasks, backend::Backend* backend) {
  co_await tasks->shut();
  co_await tasks->drained();
  co_await backend->close();
}

// The kernel has the writes, or has even done them: nobody looks before all of them are counted.
void a_write_in_flight_takes_less_than_2_kib(void**) {
  const Folder folder;
  Lab lab;
  const std::unique_ptr<backend::Backend> backend =
      open_now(file_config(folder.file("disk")), lab.context(Bytes{4 << 20}, Bytes{512})).value();
  volume::Volume volume{*backend, volume::VolumeConfig{.queue_depth = commands}};
  scsi::Disk disk{volume, usual_config()};
  const auto buffers = io::BufferPool::open(lab.executor(), Bytes{8 << 20}).value();
  watch::SlowLog slow_log{"vol0", Bytes{512}};
  CountingFrontEnd front_end;
  scsi::StalledLuns stalled_luns;
  auto tasks = std::make_unique<scsi::TaskSet>(disk, front_end, *buffers, slow_log, stalled_luns,
                                               scsi::TaskSetLimits{});
  const Data data{Bytes8(4096)};
  std::array<std::uint8_t, scsi::sense_size> sense{};
  std::vector<Bytes8> cdbs;
  std::vector<scsi::Command> all(commands);
  for (std::size_t i = 0; i < commands; ++i) {
    cdbs.push_back(cdb_of(0x2a, 0, i * 8, 8));
    all[i].cdb = cdbs[i];
    all[i].data = data.view();
    all[i].sense = sense;
  }
  tasks->begin(all[0]);
  while (front_end.good == 0) {
    lab.step();
  }
  const std::uint64_t before = allocated_bytes;
  for (scsi::Command& command : all) {
    tasks->begin(command);
  }
  (void)lab.executor().tick();
  assert_int_equal(front_end.good, 1);
  const std::uint64_t each = (allocated_bytes - before) / commands + sizeof(scsi::Command);
  print_message("%llu bytes\n", static_cast<unsigned long long>(each));
// Another compiler's frames, or those that are not optimized, are larger.
#if defined(__OPTIMIZE__) && !defined(__clang__)
  assert_true(each < 2048);
#endif
  while (front_end.good < commands + 1) {
    lab.step();
  }
  lab.run(end(lab.executor(), tasks.get(), backend.get()));
}

}  // namespace

int main() {
  if (!counts_allocations) {
    return cannot_count();
  }
  const CMUnitTest tests[] = {cmocka_unit_test(a_write_in_flight_takes_less_than_2_kib)};
  return cmocka_run_group_tests_name("memory", tests, nullptr, nullptr);
}
