// SPDX-License-Identifier: Apache-2.0
// The built plugin over a kernel in which submissions sleep, flushes and allocations hang, and
// operations end with any errno.
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/cmocka.h"
#include "tests/ring/kernel.h"
#include "tests/ring/support.h"

using namespace ballast::ring_test;
using namespace std::chrono_literals;
using kernel::What;

namespace {

constexpr std::size_t kib = 1024;
constexpr unsigned busy = 0x08;
constexpr unsigned good = 0x00;
// Longer than the plugin trusts a store that has answered.
constexpr auto quiet = 50ms;
constexpr const char* on_disk = "/var/tmp";
constexpr const char* in_memory = "/dev/shm";

Cdb flush() {
  return cdb_16(0x91, 0, 0);
}
// WRITE SAME with UNMAP, of a block of zeros.
Cdb zero(std::uint64_t lba, std::uint32_t blocks) {
  return cdb_16(0x93, lba, blocks, 0x08);
}

// Each of the threads that slept in the kernel for the store is one that may.
bool only_store_threads(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name.rfind("store/", 0) != 0) {
      print_message("thread %s slept\n", name.c_str());
      return false;
    }
  }
  return !names.empty();
}

struct Storage {
  explicit Storage(const char* where, const char* keys = quick)
      : folder{where}, config{"file=" + folder.file("vol.raw") + keys} {}
  ~Storage() { kernel::release(); }
  Folder folder;
  std::string config;
};

void removed_and_taken_again(std::unique_ptr<Lun>& lun, const Storage& storage) {
  assert_true(lun->remove());  // joins the command thread
  lun.reset();
  kernel::release();
  std::vector<std::byte> data(4 * kib);
  assert_true(eventually([&] {
    lun = Lun::add(storage.config);
    return lun != nullptr;
  }));
  assert_true(eventually(
      [&] { return lun->execute(read_16(0, 8), Direction::from_device, data).status == good; }));
}

// A real disk, which other programs use, too, may need more than the deadline of `quick`.
void write_at_last(Lun& lun, std::vector<std::byte>& data) {
  assert_true(eventually(
      [&] { return lun.execute(write_16(0, 8), Direction::to_device, data).status == good; }));
}
void read_many(Lun& lun, std::vector<std::byte>& data, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    assert_true(eventually(
        [&] { return lun.execute(read_16(0, 8), Direction::from_device, data).status == good; }));
  }
}

void a_submission_that_sleeps(const char* keys) {
  if (!has_direct_io(on_disk)) {
    skip();
  }
  const Storage storage{on_disk, keys};
  auto lun = Lun::add(storage.config);
  assert_non_null(lun.get());
  std::vector<std::byte> data(4 * kib, std::byte{1});
  write_at_last(*lun, data);
  std::this_thread::sleep_for(quiet);
  (void)kernel::take_sleepers();
  kernel::hang_submissions();
  // What is not yet at the kernel at its deadline is forgotten; the rest goes on as an orphan.
  Countdown answers{20};
  for (std::uint64_t i = 0; i < 20; ++i) {
    assert_true(lun->submit(i % 2 == 0 ? read_16(8 * i, 8) : write_16(8 * i, 8),
                            i % 2 == 0 ? Direction::from_device : Direction::to_device, data,
                            answers.done()));
  }
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  assert_true(answers.wait());
  assert_int_equal(answers.bad(), 20);
  assert_int_equal(answers.last_bad().status, busy);
  assert_int_equal(lun->execute(flush()).status, busy);
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  assert_true(only_store_threads(kernel::take_sleepers()));
  removed_and_taken_again(lun, storage);
}

void a_sleeping_submission_to_a_file_holds_up_no_thread_that_answers(void**) {
  a_submission_that_sleeps(quick);
}

void a_sleeping_submission_to_the_page_cache_holds_up_no_thread_that_answers(void**) {
  a_submission_that_sleeps(";cache=buffered;deadline=600ms;slow=100ms;stall_after=300ms");
}

void reads_from_the_page_cache_do_not_make_the_disk_look_well(void**) {
  const Storage storage{on_disk, ";cache=buffered;deadline=600ms;slow=100ms;stall_after=300ms"};
  auto lun = Lun::add(storage.config);
  assert_non_null(lun.get());
  std::vector<std::byte> data(4 * kib, std::byte{1});
  read_many(*lun, data, 100);
  kernel::hang_submissions();
  assert_int_equal(lun->execute(read_16(64, 8), Direction::from_device, data).status, busy);
  assert_true(only_store_threads(kernel::take_sleepers()));
  removed_and_taken_again(lun, storage);
}

void a_durable_write_never_sleeps_on_a_thread_that_answers(void**) {
  if (!has_direct_io(on_disk)) {
    skip();
  }
  const Storage storage{on_disk};
  auto lun = Lun::add(storage.config);
  assert_non_null(lun.get());
  std::vector<std::byte> data(4 * kib, std::byte{1});
  read_many(*lun, data, 20);  // the store is well
  kernel::hang_submissions();
  constexpr unsigned fua = 0x08;
  assert_int_equal(lun->execute(cdb_16(0x8a, 0, 8, fua), Direction::to_device, data).status, busy);
  assert_true(only_store_threads(kernel::take_sleepers()));
  removed_and_taken_again(lun, storage);
}

// A command of this kind hangs; others are answered, and the LUN can be removed meanwhile.
void one_kind_hangs(What what, const Cdb& cdb, Direction direction) {
  const Storage storage{in_memory};
  auto lun = Lun::add(storage.config);
  assert_non_null(lun.get());
  std::vector<std::byte> data(512);
  std::vector<std::byte> block(4 * kib, std::byte{7});
  assert_int_equal(lun->execute(write_16(0, 8), Direction::to_device, block).status, good);
  kernel::hang(what);
  const std::span<std::byte> moved =
      direction == Direction::none ? std::span<std::byte>{} : std::span{data};
  assert_int_equal(lun->execute(cdb, direction, moved).status, busy);
  assert_int_equal(kernel::hanging(), 1);
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  assert_true(lun->remove());
  lun.reset();
  // As after the daemon's restart, the next one waits for the file.
  LunOptions options;
  options.at_start = true;
  lun = Lun::add(storage.config, options);
  assert_non_null(lun.get());
  assert_true(lun->execute(test_unit_ready()).becoming_ready());
  kernel::release();
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  std::vector<std::byte> back(block.size());
  assert_int_equal(lun->execute(read_16(0, 8), Direction::from_device, back).status, good);
  assert_true(back == block);
  assert_int_equal(kernel::hanging(), 0);
}

void a_flush_that_hangs_is_answered_and_departs(void**) {
  one_kind_hangs(What::sync, flush(), Direction::none);
}

void an_allocation_that_hangs_is_answered_and_departs(void**) {
  one_kind_hangs(What::allocate, zero(64, 64), Direction::to_device);
}

// The retry of a flush that was answered BUSY must not be GOOD over lost data, whoever asks.
void a_flush_that_fails_when_its_lun_is_gone_fails_the_next_luns(void**) {
  const Storage storage{in_memory};
  auto lun = Lun::add(storage.config);
  assert_non_null(lun.get());
  kernel::hang(What::sync);
  assert_int_equal(lun->execute(flush()).status, busy);
  assert_true(lun->remove());
  LunOptions options;
  options.at_start = true;
  lun = Lun::add(storage.config, options);
  assert_non_null(lun.get());
  kernel::release_failing(EIO);
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  constexpr unsigned check_condition = 0x02;
  assert_int_equal(lun->execute(flush()).status, check_condition);
  assert_int_equal(lun->execute(flush()).status, good);
}

// The write of a COMPARE AND WRITE is let finish, whatever happens, but for the LUN's end.
void a_closing_lun_asks_the_kernel_to_end_what_is_at_the_store(void**) {
  const Storage storage{in_memory};
  auto lun = Lun::add(storage.config);
  assert_non_null(lun.get());
  std::vector<std::byte> block(512, std::byte{7});
  assert_int_equal(lun->execute(write_16(0, 1), Direction::to_device, block).status, good);
  std::vector<std::byte> both(1024, std::byte{7});
  (void)kernel::take_cancels();
  kernel::hang(What::write);
  Countdown answers{1};
  const Cdb compare_and_write = cdb_16(0x89, 0, 1);
  assert_true(lun->submit(compare_and_write, Direction::to_device, both, answers.done()));
  assert_true(eventually([] { return kernel::hanging() == 1; }));
  std::this_thread::sleep_for(1s);  // past its deadline
  assert_int_equal(kernel::take_cancels(), 0);
  assert_true(lun->remove());
  assert_int_equal(kernel::take_cancels(), 1);
  kernel::release();
}

// Any errno to any kind of operation is an answer, never the end of the daemon.
void every_errno_is_answered(void**) {
  constexpr int last_errno = 133;
  const Storage storage{in_memory};
  const auto lun = Lun::add(storage.config);
  assert_non_null(lun.get());
  std::vector<std::byte> data(4 * kib, std::byte{3});
  std::vector<std::byte> zeros(512);
  for (int errno_value = 1; errno_value <= last_errno; ++errno_value) {
    for (const What what : {What::read, What::write, What::sync, What::allocate}) {
      kernel::fail(what, errno_value);
      (void)lun->execute(read_16(0, 8), Direction::from_device, data);
      (void)lun->execute(write_16(0, 8), Direction::to_device, data);
      (void)lun->execute(flush());
      (void)lun->execute(zero(64, 8), Direction::to_device, zeros);
      kernel::release();
    }
  }
  assert_true(eventually(
      [&] { return lun->execute(write_16(0, 8), Direction::to_device, data).status == good; }));
  std::vector<std::byte> back(data.size());
  assert_int_equal(lun->execute(read_16(0, 8), Direction::from_device, back).status, good);
  assert_true(back == data);
}

}  // namespace

int main() {
  ::alarm(240);  // a thread that sleeps where none may would be waited for
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_sleeping_submission_to_a_file_holds_up_no_thread_that_answers),
      cmocka_unit_test(a_sleeping_submission_to_the_page_cache_holds_up_no_thread_that_answers),
      cmocka_unit_test(reads_from_the_page_cache_do_not_make_the_disk_look_well),
      cmocka_unit_test(a_durable_write_never_sleeps_on_a_thread_that_answers),
      cmocka_unit_test(a_flush_that_hangs_is_answered_and_departs),
      cmocka_unit_test(an_allocation_that_hangs_is_answered_and_departs),
      cmocka_unit_test(a_flush_that_fails_when_its_lun_is_gone_fails_the_next_luns),
      cmocka_unit_test(a_closing_lun_asks_the_kernel_to_end_what_is_at_the_store),
      cmocka_unit_test(every_errno_is_answered),
  };
  return cmocka_run_group_tests_name("kernel", tests, nullptr, nullptr);
}
