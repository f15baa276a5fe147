// SPDX-License-Identifier: Apache-2.0
#include "lib/io/uring.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "tests/cmocka.h"
#include "tests/unit/io/support.h"

using namespace ballast;
using test::Bench;

namespace {

constexpr std::size_t page = 4096;

co::Task<void> read_list(io::Uring& ring, io::UringFile file, Bytes at, io::SgView to, int* result,
                         io::OpTicket* ticket) {
  *result = co_await ring.read(file, at, to, ticket);
}

co::Task<void> write_list(io::Uring& ring, io::UringFile file, Bytes at, io::SgView from,
                          int rw_flags, int* result) {
  *result = co_await ring.write(file, at, from, rw_flags);
}

co::Task<void> copy_flat(io::Uring& ring, io::UringFile file, std::span<std::byte> memory,
                         int* written, int* read) {
  *written = co_await ring.write(file, Bytes{0}, memory.first(memory.size() / 2));
  *read = co_await ring.read(file, Bytes{0}, memory.last(memory.size() / 2));
}

co::Task<void> poll_once(io::Uring& ring, int fd, int* result, io::OpTicket* ticket) {
  *result = co_await ring.poll(fd, POLLIN, ticket);
}

// A list of `count` segments of `length` bytes, `gap` bytes apart.
struct Scattered {
  Scattered(std::size_t count, std::size_t length, std::size_t gap)
      : memory(count * (length + gap)) {
    for (std::size_t i = 0; i < count; ++i) {
      segments.push_back(iovec{memory.data() + i * (length + gap), length});
    }
  }
  io::SgView view() const { return io::SgView{segments}; }
  std::vector<std::byte> memory;
  std::vector<iovec> segments;
};

void what_was_written_from_one_list_is_read_into_another(void**) {
  Bench b;
  const test::Fd file{test::memory_file(1 << 20)};
  const Scattered from{33, 512, 3584};
  const Scattered to{16896 / 11, 11, 5};
  const auto data = test::random_bytes(33 * 512);
  io::copy(from.view(), std::span<const std::byte>{data});
  int written = 0;
  int read = 0;
  b.group.spawn("write", write_list(*b.ring, file.file(), Bytes{1000}, from.view(), 0, &written));
  b.run();
  b.group.spawn("read", read_list(*b.ring, file.file(), Bytes{1000}, to.view(), &read, nullptr));
  b.run();
  assert_int_equal(written, 33 * 512);
  assert_int_equal(read, 33 * 512);
  assert_false(io::first_difference(from.view(), to.view()).has_value());
}

void a_list_of_more_pieces_than_one_operation_takes_is_split(void**) {
  Bench b;
  const test::Fd file{test::memory_file(1 << 20)};
  const Scattered from{5000, 1, 1};
  const Scattered to{1, 5000, 0};
  const auto data = test::random_bytes(5000);
  io::copy(from.view(), std::span<const std::byte>{data});
  int written = 0;
  int read = 0;
  b.group.spawn("write", write_list(*b.ring, file.file(), Bytes{0}, from.view(), 0, &written));
  b.run();
  assert_int_equal(b.ring->stats().operations, 5);
  b.group.spawn("read", read_list(*b.ring, file.file(), Bytes{0}, to.view(), &read, nullptr));
  b.run();
  assert_int_equal(written, 5000);
  assert_int_equal(read, 5000);
  assert_memory_equal(to.memory.data(), data.data(), 5000);
}

void a_read_across_the_end_returns_what_there_is(void**) {
  Bench b;
  const test::Fd file{test::memory_file(page)};
  const Scattered to{8, 1024, 0};
  int read = 0;
  b.group.spawn("read", read_list(*b.ring, file.file(), Bytes{1024}, to.view(), &read, nullptr));
  b.run();
  assert_int_equal(read, page - 1024);
}

void a_short_read_is_continued(void**) {
  Bench b;
  const test::Pipe pipe;
  const Scattered to{8, 1, 1};
  int read = 0;
  pipe.put("abc", 3);
  b.group.spawn("read", read_list(*b.ring, pipe.file(), Bytes{0}, to.view(), &read, nullptr));
  while (b.ring->stats().operations < 2) {
    b.step();
  }
  assert_int_equal(b.group.live(), 1);
  pipe.put("defgh", 5);
  b.run();
  assert_int_equal(read, 8);
  char got[8];
  io::copy(std::as_writable_bytes(std::span{got}), to.view());
  assert_memory_equal(got, "abcdefgh", 8);
}

void a_few_operations_of_one_tick_are_submitted_at_its_end(void**) {
  Bench b;
  const test::Fd file{test::memory_file(page)};
  const Scattered to{2, 8, 0};
  int results[io::Uring::submit_batch - 1] = {};
  for (int& result : results) {
    b.group.spawn("read", read_list(*b.ring, file.file(), Bytes{0}, to.view(), &result, nullptr));
  }
  b.step();
  assert_int_equal(b.ring->stats().operations, io::Uring::submit_batch - 1);
  assert_int_equal(b.ring->stats().submits, 1);
  b.run();
  assert_int_equal(b.ring->stats().submits, 1);
}

void a_batch_is_submitted_before_the_tick_ends(void**) {
  Bench b;
  const test::Fd file{test::memory_file(page)};
  const Scattered to{2, 8, 0};
  int results[io::Uring::submit_batch + 1] = {};
  for (int& result : results) {
    b.group.spawn("read", read_list(*b.ring, file.file(), Bytes{0}, to.view(), &result, nullptr));
  }
  b.step();
  assert_int_equal(b.ring->stats().operations, io::Uring::submit_batch + 1);
  assert_int_equal(b.ring->stats().submits, 2);
  b.run();
  assert_int_equal(b.ring->stats().submits, 2);
}

void a_ring_of_four_entries_runs_sixty_four_operations(void**) {
  Bench b{{.entries = 4, .max_operations = 64, .file_slots = 0}};
  const test::Fd file{test::memory_file(64 * page)};
  const auto data = test::random_bytes(64 * page);
  assert_int_equal(::pwrite(file.get(), data.data(), data.size(), 0), data.size());
  const Scattered to{64 * 8, 512, 0};
  int results[64] = {};
  for (std::size_t i = 0; i < 64; ++i) {
    b.group.spawn("read", read_list(*b.ring, file.file(), Bytes{i * page},
                                    to.view().slice(i * page, page), &results[i], nullptr));
  }
  b.run();
  for (const int result : results) {
    assert_int_equal(result, page);
  }
  assert_memory_equal(to.memory.data(), data.data(), data.size());
}

void operations_beyond_the_bound_wait_their_turn(void**) {
  Bench b{{.entries = 4, .max_operations = 3, .file_slots = 0}};
  const test::Pipe pipe;
  char bytes[10];
  iovec segments[10];
  int results[10] = {};
  for (std::size_t i = 0; i < 10; ++i) {
    segments[i] = iovec{&bytes[i], 1};
    b.group.spawn("read", read_list(*b.ring, pipe.file(), Bytes{0}, io::SgView{{&segments[i], 1}},
                                    &results[i], nullptr));
  }
  b.step();
  assert_int_equal(b.ring->in_flight(), 3);
  assert_int_equal(b.ring->stats().slot_waits, 7);
  pipe.put("0123456789", 10);
  b.run();
  assert_int_equal(b.ring->stats().in_flight_peak, 3);
  for (const int result : results) {
    assert_int_equal(result, 1);
  }
}

void a_cancelled_operation_ends_when_the_kernel_has_let_go(void**) {
  Bench b;
  const test::Pipe pipe;
  io::OpTicket ticket;
  int result = 1;
  b.group.spawn("poll", poll_once(*b.ring, pipe.out, &result, &ticket));
  b.step();
  assert_int_equal(b.ring->in_flight(), 1);
  b.ring->cancel(ticket);
  assert_int_equal(b.group.live(), 1);  // it only asked
  b.run();
  assert_int_equal(result, -ECANCELED);
}

void a_read_cancelled_after_a_part_does_not_claim_that_nothing_was_done(void**) {
  Bench b;
  const test::Pipe pipe;
  const Scattered to{8, 1, 1};
  io::OpTicket ticket;
  int result = 1;
  pipe.put("abc", 3);
  b.group.spawn("read", read_list(*b.ring, pipe.file(), Bytes{0}, to.view(), &result, &ticket));
  while (b.ring->stats().operations < 2) {
    b.step();
  }
  b.ring->cancel(ticket);
  b.run();
  assert_int_equal(result, -EINTR);
}

void a_cancelled_operation_that_waits_for_a_slot_ends_without_the_kernel(void**) {
  Bench b{{.entries = 4, .max_operations = 1, .file_slots = 0}};
  const test::Pipe pipe;
  io::OpTicket tickets[3];
  int results[3] = {1, 1, 1};
  for (std::size_t i = 0; i < 3; ++i) {
    b.group.spawn("poll", poll_once(*b.ring, pipe.out, &results[i], &tickets[i]));
  }
  b.step();
  b.ring->cancel(tickets[2]);
  b.step();
  assert_int_equal(results[2], -ECANCELED);
  assert_int_equal(b.group.live(), 2);
  assert_int_equal(b.ring->stats().operations, 1);
  pipe.put("x", 1);
  b.run();
  assert_int_equal(results[0], POLLIN);
  assert_int_equal(results[1], POLLIN);
}

co::Task<void> cancel_before_it_goes_out(Bench& b, co::Executor& executor, io::OpTicket* ticket) {
  (void)executor;
  b.ring->cancel(*ticket);
  co_return;
}

void an_operation_cancelled_in_the_tick_that_started_it_never_reaches_the_kernel(void**) {
  Bench b;
  const test::Pipe pipe;
  io::OpTicket ticket;
  int result = 1;
  b.group.spawn("poll", poll_once(*b.ring, pipe.out, &result, &ticket));
  b.group.spawn("cancel", cancel_before_it_goes_out(b, b.executor, &ticket));
  b.run();
  assert_int_equal(result, -ECANCELED);
  assert_int_equal(b.ring->stats().operations, 0);
}

void an_operation_outlives_the_thread_that_submitted_it(void**) {
  Bench b;
  const test::Pipe pipe;
  int result = 1;
  b.group.spawn("poll", poll_once(*b.ring, pipe.out, &result, nullptr));
  std::thread{[&b] { b.step(); }}.join();
  assert_int_equal(b.ring->stats().operations, 1);
  pipe.put("x", 1);
  b.run();
  assert_int_equal(result, POLLIN);
}

co::Task<void> punch(io::Uring& ring, io::UringFile file, int* result) {
  *result = co_await ring.fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, Bytes{0},
                                    Bytes{page});
}

// fallocate runs on a worker thread that the kernel makes for the submitter and ends with it; what
// it had not begun comes back as cancelled, though nobody asked.
void work_that_died_with_its_submitter_is_started_again(void**) {
  Bench b;
  const test::Fd file{test::memory_file(page)};
  int results[200];
  std::fill_n(results, 200, 1);
  for (int& result : results) {
    b.group.spawn("punch", punch(*b.ring, file.file(), &result));
  }
  std::thread{[&b] { b.step(); }}.join();
  b.run();
  for (const int result : results) {
    assert_int_equal(result, 0);
  }
}

void a_registered_file_works_like_a_plain_one(void**) {
  Bench b;
  const test::Fd file{test::memory_file(page)};
  const io::UringFile registered = b.ring->register_file(file.get());
  assert_true(registered.slot >= 0);
  alignas(4096) static std::byte memory[2 * page];
  const auto data = test::random_bytes(page);
  std::memcpy(memory, data.data(), page);
  int written = 0;
  int read = 0;
  b.group.spawn("copy", copy_flat(*b.ring, registered, memory, &written, &read));
  b.run();
  assert_int_equal(written, page);
  assert_int_equal(read, page);
  assert_memory_equal(memory + page, data.data(), page);
  b.ring->unregister_file(registered);
  assert_int_equal(b.ring->register_file(file.get()).slot, registered.slot);
}

void a_full_file_table_leaves_a_file_usable(void**) {
  Bench b{{.entries = 4, .max_operations = 4, .file_slots = 1}};
  const test::Fd file{test::memory_file(page)};
  assert_int_equal(b.ring->register_file(file.get()).slot, 0);
  assert_int_equal(b.ring->register_file(file.get()).slot, -1);
}

co::Task<void> punch_and_sync(io::Uring& ring, io::UringFile file, int* punched, int* synced) {
  *punched = co_await ring.fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, Bytes{page},
                                     Bytes{page});
  *synced = co_await ring.sync(file, io::Sync::data);
}

void fallocate_and_sync_reach_the_file(void**) {
  Bench b;
  const test::Fd file{test::memory_file(3 * page)};
  const auto data = test::random_bytes(3 * page);
  assert_int_equal(::pwrite(file.get(), data.data(), data.size(), 0), data.size());
  int punched = 1;
  int synced = 1;
  b.group.spawn("punch", punch_and_sync(*b.ring, file.file(), &punched, &synced));
  b.run();
  assert_int_equal(punched, 0);
  assert_int_equal(synced, 0);
  auto expected = data;
  std::fill_n(expected.begin() + page, page, std::byte{0});
  std::vector<std::byte> got(3 * page);
  assert_int_equal(::pread(file.get(), got.data(), got.size(), 0), got.size());
  assert_true(got == expected);
}

void a_write_takes_the_flags_of_pwritev2(void**) {
  Bench b;
  const test::Fd file{test::memory_file(page)};
  const Scattered from{2, 256, 0};
  int written = 0;
  b.group.spawn("write",
                write_list(*b.ring, file.file(), Bytes{0}, from.view(), RWF_DSYNC, &written));
  b.run();
  assert_int_equal(written, 512);
  b.group.spawn("write",
                write_list(*b.ring, file.file(), Bytes{0}, from.view(), 0x40000000, &written));
  b.run();
  assert_int_equal(written, -EOPNOTSUPP);
}

void an_error_is_the_kernels_errno(void**) {
  Bench b;
  const Scattered to{2, 8, 0};
  int result = 0;
  b.group.spawn("read",
                read_list(*b.ring, io::UringFile{-1, -1}, Bytes{0}, to.view(), &result, nullptr));
  b.run();
  assert_int_equal(result, -EBADF);
}

void an_empty_list_needs_no_kernel(void**) {
  Bench b;
  int result = 1;
  b.group.spawn(
      "read", read_list(*b.ring, io::UringFile{-1, -1}, Bytes{0}, io::SgView{}, &result, nullptr));
  b.run();
  assert_int_equal(result, 0);
  assert_int_equal(b.ring->stats().submits, 0);
}

// The kernel publishes a completion first and signals the eventfd afterwards, on some kernels from
// a deferred callback: whoever has seen the completion may still have to wait for the signal.
bool readable(int fd, int wait_ms) {
  pollfd p{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&p, 1, wait_ms) == 1;
}

void a_completion_writes_the_eventfd_only_while_notification_is_on(void**) {
  Bench b;
  const test::Fd file{test::memory_file(page)};
  const Scattered to{2, 8, 0};
  int result = 0;
  b.ring->set_notify(false);
  b.group.spawn("read", read_list(*b.ring, file.file(), Bytes{0}, to.view(), &result, nullptr));
  b.step();
  while (!b.ring->completions_waiting()) {
  }
  assert_false(readable(b.executor.mailbox().fd(), 20));
  b.run();
  b.ring->set_notify(true);
  b.group.spawn("read", read_list(*b.ring, file.file(), Bytes{0}, to.view(), &result, nullptr));
  b.step();
  while (!b.ring->completions_waiting()) {
  }
  assert_true(readable(b.executor.mailbox().fd(), 10000));
  assert_true(readable(b.ring->fd(), 10000));
  b.run();
}

// In a child, with io_uring_setup refused as `errno_value`: whether the error has `words`.
bool refusal_says(int errno_value, const char* words) {
  const pid_t child = ::fork();
  if (child == 0) {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(errno_value)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program{.len = 4, .filter = filter};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      ::_exit(2);
    }
    int status = 3;
    {
      const co::SteadyClock clock;
      co::Executor executor{"test", clock};
      const auto ring = io::Uring::open(executor);
      const bool right = !ring.ok() && ring.error().errno_value == errno_value &&
                         ring.error().message.find(words) != std::string::npos;
      status = right ? 0 : 1;
    }
    ::_exit(status);
  }
  int status = -1;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void a_refused_ring_says_what_to_change(void**) {
  assert_true(refusal_says(EPERM, "kernel.io_uring_disabled"));
  assert_true(refusal_says(ENOSYS, "seccomp"));
  assert_true(refusal_says(ENOMEM, "LimitMEMLOCK"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_was_written_from_one_list_is_read_into_another),
      cmocka_unit_test(a_list_of_more_pieces_than_one_operation_takes_is_split),
      cmocka_unit_test(a_read_across_the_end_returns_what_there_is),
      cmocka_unit_test(a_short_read_is_continued),
      cmocka_unit_test(a_few_operations_of_one_tick_are_submitted_at_its_end),
      cmocka_unit_test(a_batch_is_submitted_before_the_tick_ends),
      cmocka_unit_test(a_ring_of_four_entries_runs_sixty_four_operations),
      cmocka_unit_test(operations_beyond_the_bound_wait_their_turn),
      cmocka_unit_test(a_cancelled_operation_ends_when_the_kernel_has_let_go),
      cmocka_unit_test(a_read_cancelled_after_a_part_does_not_claim_that_nothing_was_done),
      cmocka_unit_test(a_cancelled_operation_that_waits_for_a_slot_ends_without_the_kernel),
      cmocka_unit_test(an_operation_cancelled_in_the_tick_that_started_it_never_reaches_the_kernel),
      cmocka_unit_test(an_operation_outlives_the_thread_that_submitted_it),
      cmocka_unit_test(work_that_died_with_its_submitter_is_started_again),
      cmocka_unit_test(a_registered_file_works_like_a_plain_one),
      cmocka_unit_test(a_full_file_table_leaves_a_file_usable),
      cmocka_unit_test(fallocate_and_sync_reach_the_file),
      cmocka_unit_test(a_write_takes_the_flags_of_pwritev2),
      cmocka_unit_test(an_error_is_the_kernels_errno),
      cmocka_unit_test(an_empty_list_needs_no_kernel),
      cmocka_unit_test(a_completion_writes_the_eventfd_only_while_notification_is_on),
      cmocka_unit_test(a_refused_ring_says_what_to_change),
  };
  return cmocka_run_group_tests_name("uring", tests, nullptr, nullptr);
}
