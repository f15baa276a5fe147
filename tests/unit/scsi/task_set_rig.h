// SPDX-License-Identifier: Apache-2.0
// A task set over a disk over a spy backend: send() hands a command over, and notes its answer.
// Include this file before tests/cmocka.h.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/log.h"
#include "lib/scsi/task_set.h"
#include "tests/unit/scsi/rig.h"

namespace ballast::test {

// A command that an initiator has sent, and what came back.
struct Sent {
  Sent(Bytes8 what, Bytes8 with) : cdb{std::move(what)}, buffer{std::move(with)} {
    command.cdb = cdb;
    command.data = buffer.view();
    command.sense = sense;
  }
  Bytes8 cdb;
  Data buffer;
  std::array<std::uint8_t, scsi::sense_size> sense{};
  scsi::Command command;
  unsigned answers = 0;
  scsi::Status status = scsi::Status::good;
  TimePoint answered{};
  bool good() const { return answers == 1 && status == scsi::Status::good; }
  bool busy() const { return answers == 1 && status == scsi::Status::busy; }
};

class TaskSetRig : public DiskRig, public scsi::FrontEnd {
 public:
  explicit TaskSetRig(const scsi::TaskSetLimits& limits = {}, const Pretend& pretend = {},
                      const volume::VolumeConfig& volume_config = {})
      : DiskRig{with_groups(), Bytes{4 << 20}, volume_config, pretend},
        buffers{io::BufferPool::open(executor, Bytes{8 << 20}).value()},
        slow_log{"vol0", Bytes{512}},
        tasks{std::make_unique<scsi::TaskSet>(*disk, *this, *buffers, slow_log, stalled_luns,
                                              limits)} {
    set_log_sink([](LogLevel, std::string_view) {});
  }
  ~TaskSetRig() override {
    shut();
    spy->gate.set();
    run();
    tasks.reset();
  }

  Sent& send(const Bytes8& cdb, const Bytes8& data = {}) {
    Sent& sent = all.emplace_back(cdb, data);
    tasks->begin(sent.command);
    run();
    return sent;
  }
  Sent& write(std::uint64_t lba, std::uint8_t seed, std::size_t blocks = 8) {
    return send(cdb_of(0x2a, 0, lba, blocks), pattern(blocks * 512, seed));
  }
  Sent& read(std::uint64_t lba, std::size_t blocks = 8, std::uint8_t flags = 0) {
    return send(cdb_of(0x28, flags, lba, blocks), Bytes8(blocks * 512));
  }
  void wait(Nanoseconds time) {
    const TimePoint until = clock.now() + time;
    run();
    while (executor.next_timer() <= until) {
      clock.advance_to(std::max(clock.now(), executor.next_timer()));
      run();
    }
    clock.advance_to(until);
    run();
  }
  // Closes; the destructor does not again.
  void shut() {
    if (!std::exchange(shut_, true)) {
      group.spawn("close", close(*tasks));
      run();
    }
  }
  // Of one block of zeros.
  Sent& compare_and_write(std::uint64_t lba = 0) {
    Bytes8 both(512, 0);
    const Bytes8 fresh = pattern(512, 9);
    both.insert(both.end(), fresh.begin(), fresh.end());
    Bytes8 cdb(16);
    cdb[0] = 0x89;
    put64(cdb, 2, lba);
    cdb[13] = 1;
    return send(cdb, both);
  }
  // SET TARGET PORT GROUPS: gives the store back.
  Sent& stand_by() {
    return send({0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0}, {0, 0, 0, 0, 2, 0, 0, 1});
  }
  void freeze() { spy->gate.reset(); }
  void thaw() {
    spy->gate.set();
    run();
  }
  void stalled(const watch::CommandRecord& oldest) override {
    told += std::string{" stalled by "} + oldest.name;
  }
  void recovered() override { told += " recovered"; }
  watch::LunCounters counters() const {
    watch::LunSnapshot snapshot;
    tasks->describe({}, &snapshot);
    return snapshot.counters;
  }
  std::size_t backend_writes() const {
    return static_cast<std::size_t>(std::count_if(
        spy->ops.begin(), spy->ops.end(), [](const BackendOp& op) { return op.name == "write"; }));
  }
  void answer(scsi::Command& command, scsi::Status status) override {
    for (Sent& sent : all) {
      if (&sent.command == &command) {
        ++sent.answers;
        sent.status = status;
        sent.answered = clock.now();
      }
    }
  }

  std::deque<Sent> all;
  std::unique_ptr<io::BufferPool> buffers;
  watch::SlowLog slow_log;
  scsi::StalledLuns stalled_luns;
  std::string told;  // to the front end, of stalls
  std::unique_ptr<scsi::TaskSet> tasks;

 private:
  static co::Task<void> close(scsi::TaskSet& task_set) {
    co_await task_set.shut();
    co_await task_set.drained();
  }
  bool shut_ = false;
};

}  // namespace ballast::test
