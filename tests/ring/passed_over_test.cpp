// SPDX-License-Identifier: Apache-2.0
// The built plugin, and ring entries that the daemon does not hand over: commands that it throws
// away, and the kernel's notices of task management.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/assert.h"
#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::ring_test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr unsigned busy = 0x08;
const Cdb vendor_specific{0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

bool soon(const std::function<bool()>& holds) {
  return eventually(holds, 1000);
}

// A LUN whose writes hang until told otherwise, longer than any test lasts. Its end answers what
// still hangs: who is answered outlives it.
struct Frozen {
  Frozen() {
    rules("write freeze\n");
    lun = Lun::add("file=" + folder.file("vol.raw") +
                   ";deadline=25s;stall_after=24s;fault=" + folder.file("faults"));
  }
  ~Frozen() {
    rules("");
    lun.reset();
  }
  void rules(const char* text) { std::ofstream{folder.file("faults")} << text; }
  // Returns the id of a write that hangs.
  std::uint16_t write(std::uint64_t block, Countdown& answer) {
    BALLAST_ASSERT(lun->queue(write_16(block, 8), Direction::to_device, data, answer.done()));
    return lun->id_of_last_command();
  }

  Folder folder{"/dev/shm"};
  std::vector<std::byte> data = std::vector<std::byte>(4096, std::byte{1});
  std::unique_ptr<Lun> lun;
};

void any_number_of_thrown_away_commands_is_answered(void**) {
  const auto lun = Lun::add("memory");
  Countdown answers{300};
  for (unsigned i = 0; i < 300; ++i) {
    assert_true(lun->queue(vendor_specific, Direction::none, {}, answers.done()));
  }
  lun->raise();
  assert_true(answers.wait());
  assert_int_equal(answers.bad(), 300);
  assert_true(soon([&] { return lun->ring_is_empty(); }));
  assert_int_equal(lun->execute(test_unit_ready()).status, 0);
}

void thrown_away_commands_are_answered_while_others_hang(void**) {
  Countdown hangs{1};
  Countdown thrown_away{100};
  Frozen frozen;
  (void)frozen.write(0, hangs);
  for (unsigned i = 0; i < 100; ++i) {
    assert_true(frozen.lun->queue(vendor_specific, Direction::none, {}, thrown_away.done()));
  }
  frozen.lun->raise();
  assert_true(thrown_away.wait());
  assert_int_equal(frozen.lun->outstanding(), 1);
  assert_int_equal(frozen.lun->execute(test_unit_ready()).status, 0);
  frozen.rules("");
  assert_true(hangs.wait());
  assert_int_equal(hangs.good(), 1);
}

// Commands come while those before them are answered as left over: none is answered twice, none is
// forgotten.
void commands_that_come_while_left_overs_are_answered_are_all_answered_once(void**) {
  const auto lun = Lun::add("memory");
  assert_int_equal(lun->execute(test_unit_ready()).status, 0);
  std::size_t asked = 0;
  Countdown thrown_away{150};
  for (unsigned round = 0; round < 3; ++round) {
    for (unsigned i = 0; i < 50; ++i) {
      assert_true(lun->queue(vendor_specific, Direction::none, {}, thrown_away.done()));
    }
    lun->raise();
    // Around the moment at which they are.
    while (lun->outstanding() > 0) {
      std::this_thread::sleep_for(1ms);
    }
    for (unsigned i = 0; i < 50; ++i) {
      assert_int_equal(lun->execute(test_unit_ready()).status, 0);
      ++asked;
    }
  }
  assert_true(thrown_away.wait());
  assert_int_equal(lun->stats().answers, 1 + asked + 150);
}

void the_kernel_hears_of_a_ring_with_nothing_but_a_notice(void**) {
  const auto lun = Lun::add("memory");
  assert_int_equal(lun->execute(test_unit_ready()).status, 0);
  const std::uint64_t before = lun->stats().doorbells;
  lun->queue_task_management();
  lun->raise();
  assert_true(soon([&] { return lun->ring_is_empty(); }));
  assert_true(soon([&] { return lun->stats().doorbells > before; }));
}

void an_abort_right_after_idling_ends_its_command_soon(void**) {
  // An idle LUN is looked at every two seconds. A busy machine may need as long once.
  std::chrono::milliseconds soonest{60'000};
  for (int tries = 0; tries < 5 && soonest >= 1500ms; ++tries) {
    Countdown answer{1};
    Frozen frozen;
    const auto begin = Clock::now();
    const std::uint16_t id = frozen.write(0, answer);
    frozen.lun->raise();
    // A look at the ring happened neither before nor in between.
    std::this_thread::sleep_for(20ms);
    frozen.lun->queue_task_management(std::span{&id, 1});
    assert_true(answer.wait());
    assert_int_equal(answer.last_bad().status, busy);
    soonest = std::min(soonest,
                       std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin));
  }
  assert_true(soonest < 1500ms);
}

void an_abort_waits_for_a_command_that_the_daemon_has_not_handed_over(void**) {
  Countdown first{1};
  Countdown second{1};
  Frozen frozen;
  (void)frozen.write(0, first);
  frozen.lun->raise();
  std::this_thread::sleep_for(50ms);
  const std::uint16_t id = frozen.write(16, second);
  frozen.lun->queue_task_management(std::span{&id, 1});
  std::this_thread::sleep_for(300ms);  // several looks; the daemon sleeps
  frozen.lun->raise();
  assert_true(second.wait());
  assert_int_equal(second.last_bad().status, busy);
  assert_int_equal(frozen.lun->outstanding(), 1);
}

// Answers of other commands let the kernel use the notice's place again.
void an_abort_is_heeded_though_other_commands_overtake_it(void**) {
  Countdown hangs{1};
  Frozen frozen;
  const std::uint16_t id = frozen.write(0, hangs);
  frozen.lun->raise();
  assert_int_equal(frozen.lun->execute(test_unit_ready()).status, 0);
  Countdown others{20};
  frozen.lun->queue_task_management(std::span{&id, 1});
  for (unsigned i = 0; i < 20; ++i) {
    assert_true(frozen.lun->queue(test_unit_ready(), Direction::none, {}, others.done()));
  }
  frozen.lun->raise();
  assert_true(others.wait());
  assert_int_equal(others.good(), 20);
  assert_true(hangs.wait());
  assert_int_equal(hangs.last_bad().status, busy);
}

}  // namespace

int main() {
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(any_number_of_thrown_away_commands_is_answered),
      cmocka_unit_test(thrown_away_commands_are_answered_while_others_hang),
      cmocka_unit_test(commands_that_come_while_left_overs_are_answered_are_all_answered_once),
      cmocka_unit_test(the_kernel_hears_of_a_ring_with_nothing_but_a_notice),
      cmocka_unit_test(an_abort_right_after_idling_ends_its_command_soon),
      cmocka_unit_test(an_abort_waits_for_a_command_that_the_daemon_has_not_handed_over),
      cmocka_unit_test(an_abort_is_heeded_though_other_commands_overtake_it),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
