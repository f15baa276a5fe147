// SPDX-License-Identifier: Apache-2.0
// The built plugin over storage that hangs: deadlines, retries, closing, and limits that change
// meanwhile. The LUNs' configuration makes the times short. The tests assert the order of events,
// not speed.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::ring_test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kib = 1024;
constexpr unsigned busy = 0x08;
constexpr unsigned good = 0x00;

// A LUN whose storage obeys a control file.
class Frozen {
 public:
  Frozen() : folder_{"/dev/shm"} {}
  std::string config(const std::string& keys = quick) const {
    return "file=" + folder_.file("vol.raw") + keys + ";fault=" + folder_.file("faults");
  }
  void rules(const char* text) { std::ofstream{folder_.file("faults")} << text; }

 private:
  Folder folder_;
};

void a_frozen_command_is_answered_busy_and_its_retry_takes_over(void**) {
  Frozen storage;
  storage.rules("write freeze\n");
  const auto lun = Lun::add(storage.config());
  assert_non_null(lun.get());
  std::vector<std::byte> data = bytes_of(64 * kib, 1);
  assert_int_equal(lun->execute(write_16(0, 128), Direction::to_device, data).status, busy);
  // The retry waits for the orphan, and its own deadline comes as well.
  assert_int_equal(lun->execute(write_16(0, 128), Direction::to_device, data).status, busy);
  storage.rules("");
  assert_true(eventually(
      [&] { return lun->execute(write_16(0, 128), Direction::to_device, data).status == good; }));
  std::vector<std::byte> back(data.size());
  assert_int_equal(lun->execute(read_16(0, 128), Direction::from_device, back).status, good);
  assert_true(back == data);
}

void commands_whose_deadlines_come_together_are_answered_in_batches(void**) {
  Frozen storage;
  storage.rules("read freeze\n");
  const auto lun = Lun::add(storage.config());
  assert_non_null(lun.get());
  std::vector<std::byte> data(kib);
  Countdown answers{120};
  for (unsigned i = 0; i < 120; ++i) {
    assert_true(lun->queue(read_16(i * 2, 2), Direction::from_device, data, answers.done()));
  }
  lun->raise();
  assert_true(answers.wait());
  assert_int_equal(answers.last_bad().status, busy);
  assert_true(lun->stats().largest_batch <= 64);
  storage.rules("");
}

void the_ring_may_reuse_the_memory_of_an_orphan(void**) {
  Frozen storage;
  storage.rules("write freeze lba=0-127\n");
  LunOptions options;
  options.data_pages = 64;  // soon used again
  const auto lun = Lun::add(storage.config(), options);
  std::vector<std::byte> late = bytes_of(64 * kib, 2);
  assert_int_equal(lun->execute(write_16(0, 128), Direction::to_device, late).status, busy);
  std::vector<std::byte> other = bytes_of(64 * kib, 77);
  for (std::uint64_t i = 1; i < 40; ++i) {
    const auto status = lun->execute(write_16(i * 128, 128), Direction::to_device, other).status;
    assert_true(status == good || status == busy);
  }
  storage.rules("");
  std::vector<std::byte> back(late.size());
  assert_true(eventually(
      [&] { return lun->execute(read_16(0, 128), Direction::from_device, back).status == good; }));
  assert_true(back == late);
}

void a_late_write_does_not_land_over_a_newer_one(void**) {
  Frozen storage;
  storage.rules("write freeze first=1\n");
  const auto lun = Lun::add(storage.config());
  std::vector<std::byte> older = bytes_of(4 * kib, 3);
  std::vector<std::byte> newer = bytes_of(4 * kib, 4);
  assert_int_equal(lun->execute(write_16(0, 8), Direction::to_device, older).status, busy);
  // Behind the fence until its own deadline.
  assert_int_equal(lun->execute(write_16(0, 8), Direction::to_device, newer).status, busy);
  storage.rules("");
  assert_true(eventually(
      [&] { return lun->execute(write_16(0, 8), Direction::to_device, newer).status == good; }));
  std::vector<std::byte> back(newer.size());
  assert_int_equal(lun->execute(read_16(0, 8), Direction::from_device, back).status, good);
  assert_true(back == newer);
}

void of_two_resizes_the_later_one_counts(void**) {
  Frozen storage;
  storage.rules("resize freeze\n");
  const auto lun = Lun::add(storage.config());
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  int grown = 0;
  // As if the daemon had stopped waiting for it and been asked again.
  std::atomic<pid_t> asker = 0;
  std::thread first{[&] {
    asker = ::gettid();
    grown = lun->reconfigure_size(std::uint64_t{128} << 20);
  }};
  // It sleeps once it has asked.
  assert_true(eventually([&] {
    std::string state;
    std::ifstream stat{"/proc/self/task/" + std::to_string(asker) + "/stat"};
    return std::getline(stat, state) && state.find(") S ") != std::string::npos;
  }));
  assert_int_equal(lun->reconfigure_size(std::uint64_t{32} << 20), 0);
  storage.rules("");
  first.join();
  assert_int_not_equal(grown, 0);
  assert_int_equal(lun->execute(test_unit_ready()).status, 0x02);  // CAPACITY DATA HAS CHANGED
  std::vector<std::byte> capacity(8);
  assert_int_equal(lun->execute(cdb_10(0x25, 0, 0), Direction::from_device, capacity).status, good);
  assert_int_equal(static_cast<int>(capacity[2]) << 8 | static_cast<int>(capacity[3]), 0xffff);
  assert_int_equal(static_cast<int>(capacity[1]), 0);  // (32 << 20) / 512 - 1
}

void what_needs_no_medium_is_answered_while_stalled(void**) {
  Frozen storage;
  storage.rules("all freeze\n");
  const auto lun = Lun::add(storage.config());
  std::vector<std::byte> data(4 * kib);
  assert_int_equal(lun->execute(read_16(0, 8), Direction::from_device, data).status, busy);
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  storage.rules("");
}

void a_lun_that_hangs_is_closed_and_keeps_its_file_until_the_storage_lets_go(void**) {
  Frozen storage;
  storage.rules("write freeze stubborn\n");
  auto lun = Lun::add(storage.config());
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  std::vector<std::byte> data = bytes_of(4 * kib, 5);
  Countdown answers{1};
  assert_true(lun->submit(write_16(0, 8), Direction::to_device, data, answers.done()));
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  assert_true(lun->remove());
  assert_true(answers.wait());
  assert_int_equal(answers.bad(), 1);
  lun.reset();  // the ring is unmapped; the write still waits
  (void)take_log();
  // As after the daemon's restart: the next one waits for the file.
  LunOptions options;
  options.at_start = true;
  lun = Lun::add(storage.config(), options);
  assert_non_null(lun.get());
  assert_true(lun->execute(test_unit_ready()).becoming_ready());
  std::string log;
  assert_true(log_says(log, {"locked by"}));
  storage.rules("");
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  std::vector<std::byte> back(data.size());
  assert_int_equal(lun->execute(read_16(0, 8), Direction::from_device, back).status, good);
  assert_true(back == data);
}

void aborted_commands_are_answered_long_before_their_deadline_and_others_are_not(void**) {
  Frozen storage;
  storage.rules("write freeze\n");
  const auto lun = Lun::add(storage.config(""));
  std::vector<std::byte> data = bytes_of(12 * kib, 7);
  Countdown aborted{2};
  Countdown other{1};
  std::vector<std::uint16_t> ids;
  for (std::uint64_t i = 0; i < 3; ++i) {
    const std::span<std::byte> part = std::span{data}.subspan(i * 4 * kib, 4 * kib);
    assert_true(lun->submit(write_16(i * 8, 8), Direction::to_device, part,
                            i == 1 ? other.done() : aborted.done()));
    if (i != 1) {
      ids.push_back(lun->id_of_last_command());
    }
  }
  assert_int_equal(lun->execute(test_unit_ready()).status, good);  // they have come
  ids.push_back(4711);  // what the kernel names may be over
  lun->queue_task_management(ids);
  lun->raise();
  assert_true(aborted.wait());
  assert_int_equal(aborted.bad(), 2);
  assert_int_equal(aborted.last_bad().status, busy);
  assert_int_equal(lun->outstanding(), 1);
  // The notice stands in the ring still, and one of its ids is soon used again.
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  storage.rules("");
  assert_true(other.wait());
  assert_int_equal(other.good(), 1);
  std::vector<std::byte> back(data.size());
  assert_true(eventually(
      [&] { return lun->execute(read_16(0, 24), Direction::from_device, back).status == good; }));
  assert_true(back == data);  // what was aborted has not come to nothing: it went on, as orphans do
}

void limits_change_while_the_lun_is_open(void**) {
  Frozen storage;
  storage.rules("all freeze\n");
  const auto lun = Lun::add(storage.config(""));
  std::vector<std::byte> data(4 * kib);
  Countdown answers{1};
  assert_true(lun->submit(read_16(0, 8), Direction::from_device, data, answers.done()));
  assert_int_equal(lun->reconfigure_string(storage.config()), 0);
  assert_true(answers.wait());
  assert_int_equal(answers.last_bad().status, busy);
  assert_int_not_equal(lun->reconfigure_string(storage.config(";cache=buffered")), 0);
  storage.rules("");
}

void opening_a_lun_takes_care_that_the_kernel_does_not_answer_by_itself(void**) {
  const Frozen storage;
  const auto lun = Lun::add(storage.config(";deadline=45s"));
  assert_non_null(lun.get());
  assert_int_equal(lun->attribute("cmd_time_out"), 0);
  assert_int_equal(lun->attribute("tmr_notification"), 1);
}

// rtslib restores what it has saved after it has enabled a backstore.
void what_is_written_after_opening_is_seen_with_the_first_command(void**) {
  Frozen storage;
  storage.rules("all freeze\n");
  (void)take_log();
  const auto lun = Lun::add(storage.config(";deadline=20s;slow=100ms;stall_after=300ms"));
  lun->set_attribute("cmd_time_out", 1);
  lun->set_attribute("tmr_notification", 0);
  std::vector<std::byte> data(4 * kib);
  assert_int_equal(lun->execute(read_16(0, 8), Direction::from_device, data).status, busy);
  assert_int_equal(lun->attribute("tmr_notification"), 1);
  const std::string log = take_log();
  assert_non_null(std::strstr(log.c_str(), "cmd_time_out is 1 s"));
  assert_non_null(std::strstr(log.c_str(), "BUSY after 750ms, not deadline=20s"));
  storage.rules("");
}

void the_kernels_default_is_set_back_when_it_comes_again(void**) {
  const Frozen storage;
  const auto lun = Lun::add(storage.config());
  lun->set_attribute("cmd_time_out", 30);
  assert_int_equal(lun->reconfigure_string(storage.config(";busy_for=1min")), 0);
  assert_int_equal(lun->attribute("cmd_time_out"), 0);
}

void a_resize_with_an_orphan_alive_is_done(void**) {
  Frozen storage;
  storage.rules("write freeze\n");
  const auto lun = Lun::add(storage.config());
  std::vector<std::byte> data = bytes_of(4 * kib, 6);
  assert_int_equal(lun->execute(write_16(0, 8), Direction::to_device, data).status, busy);
  assert_int_equal(lun->reconfigure_size(std::uint64_t{128} << 20), 0);
  storage.rules("");
  std::vector<std::byte> back(data.size());
  assert_true(eventually(
      [&] { return lun->execute(read_16(0, 8), Direction::from_device, back).status == good; }));
  assert_true(back == data);
}

void a_log_that_hangs_holds_up_no_command_and_no_removal(void**) {
  Frozen storage;
  storage.rules("write freeze\n");
  auto lun = Lun::add(storage.config());
  assert_non_null(lun.get());
  (void)take_log();
  freeze_log(true);
  std::vector<std::byte> data = bytes_of(4 * kib, 8);
  // Said to be slow on the way.
  assert_int_equal(lun->execute(write_16(0, 8), Direction::to_device, data).status, busy);
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  storage.rules("");
  assert_true(lun->remove());
  auto another = Lun::add("memory");
  assert_non_null(another.get());
  assert_int_equal(another->execute(test_unit_ready()).status, good);
  freeze_log(false);
  const std::string log = take_log();
  const char* const closed = std::strstr(log.c_str(), "closed: ");
  assert_non_null(closed);
  assert_non_null(std::strstr(closed, "open: memory"));  // in order
}

}  // namespace

int main() {
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_frozen_command_is_answered_busy_and_its_retry_takes_over),
      cmocka_unit_test(commands_whose_deadlines_come_together_are_answered_in_batches),
      cmocka_unit_test(the_ring_may_reuse_the_memory_of_an_orphan),
      cmocka_unit_test(a_late_write_does_not_land_over_a_newer_one),
      cmocka_unit_test(of_two_resizes_the_later_one_counts),
      cmocka_unit_test(what_needs_no_medium_is_answered_while_stalled),
      cmocka_unit_test(a_lun_that_hangs_is_closed_and_keeps_its_file_until_the_storage_lets_go),
      cmocka_unit_test(aborted_commands_are_answered_long_before_their_deadline_and_others_are_not),
      cmocka_unit_test(limits_change_while_the_lun_is_open),
      cmocka_unit_test(opening_a_lun_takes_care_that_the_kernel_does_not_answer_by_itself),
      cmocka_unit_test(what_is_written_after_opening_is_seen_with_the_first_command),
      cmocka_unit_test(the_kernels_default_is_set_back_when_it_comes_again),
      cmocka_unit_test(a_resize_with_an_orphan_alive_is_done),
      cmocka_unit_test(a_log_that_hangs_holds_up_no_command_and_no_removal),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
