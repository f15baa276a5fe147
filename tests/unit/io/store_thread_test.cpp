// SPDX-License-Identifier: Apache-2.0
// The lane for operations whose submission may sleep, over a kernel in which it does. This program
// puts itself before io_uring_submit.
#include "lib/io/store_thread.h"

#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "lib/io/uring_transfer.h"
#include "tests/cmocka.h"
#include "tests/unit/io/support.h"

using namespace ballast;
using test::Bench;

namespace {

// The kernel's side: while `frozen`, whoever submits sleeps.
std::atomic<bool> frozen{false};
std::atomic<int> sleepers{0};
std::atomic<bool> main_thread_slept{false};
pthread_t main_thread;

}  // namespace

extern "C" int io_uring_submit(io_uring* ring) {
  using Submit = int (*)(io_uring*);
  static const Submit real = reinterpret_cast<Submit>(::dlsym(RTLD_NEXT, "io_uring_submit"));
  if (frozen.load()) {
    if (pthread_equal(pthread_self(), main_thread) != 0) {
      main_thread_slept = true;
      return real(ring);
    }
    ++sleepers;
    frozen.wait(true);
    --sleepers;
  }
  return real(ring);
}

namespace {

constexpr std::size_t page = 4096;

struct Frozen {
  Frozen() { frozen = true; }
  ~Frozen() { thaw(); }
  static void thaw() {
    frozen = false;
    frozen.notify_all();
  }
  static void wait_for_a_sleeper() {
    while (sleepers.load() == 0) {
      std::this_thread::yield();
    }
  }
};

io::UringOptions with_store_thread() {
  return io::UringOptions{.store_threads = 1};
}

co::Task<void> move(io::Uring& ring, io::Transfer transfer, int* result, int* refused) {
  while (!transfer.ended()) {
    io::Running part{ring, transfer};
    const int got = co_await part;
    transfer.took(got);
  }
  *refused = transfer.refused();
  *result = transfer.result();
}

void start(Bench& b, io::Transfer::Way way, io::UringFile file, io::SgView view, io::Lane lane,
           int* result, int* refused, io::OpTicket* ticket = nullptr) {
  io::Transfer transfer{way, file, Bytes{0}, view, 0, ticket, lane};
  b.group.spawn("move", move(*b.ring, transfer, result, refused));
}

// Until the group is empty; sleeps on both rings.
void run(Bench& b) {
  while (b.group.live() > 0) {
    b.step();
    std::this_thread::yield();
  }
}

struct List {
  explicit List(std::size_t pieces) : memory(pieces * page) {
    for (std::size_t i = 0; i < pieces; ++i) {
      segments.push_back(iovec{memory.data() + i * page, page});
    }
  }
  io::SgView view() const { return io::SgView{segments}; }
  std::vector<std::byte> memory;
  std::vector<iovec> segments;
};

void lists_of_any_length_go_through_the_store_thread(void**) {
  Bench b{with_store_thread()};
  for (const std::size_t pieces : {std::size_t{1}, std::size_t{3}, std::size_t{1500}}) {
    const test::Fd file{test::memory_file(0)};
    List from{pieces};
    List to{pieces};
    from.memory = test::random_bytes(pieces * page);
    from.segments.clear();
    for (std::size_t i = 0; i < pieces; ++i) {
      from.segments.push_back(iovec{from.memory.data() + i * page, page});
    }
    int result = 0;
    int refused = 0;
    start(b, io::Transfer::Way::write, file.file(), from.view(), io::Lane::store, &result,
          &refused);
    run(b);
    assert_int_equal(result, pieces * page);
    start(b, io::Transfer::Way::read, file.file(), to.view(), io::Lane::store, &result, &refused);
    run(b);
    assert_int_equal(result, pieces * page);
    assert_true(to.memory == from.memory);
  }
  assert_int_equal(b.ring->stats().submits, 0);
}

void what_is_refused_at_once_goes_through_the_store_thread(void**) {
  Bench b{with_store_thread()};
  const test::Pipe pipe;
  List to{1};
  int result = 0;
  int refused = 0;
  const iovec one{to.memory.data(), 1};
  const io::SgView view{std::span{&one, 1}};
  start(b, io::Transfer::Way::read, pipe.file(), view, io::Lane::at_once, &result, &refused);
  for (int i = 0; i < 100; ++i) {
    b.step();  // nothing to read: the kernel will not wait on this thread
  }
  pipe.put("x", 1);
  run(b);
  assert_int_equal(refused, EAGAIN);
  assert_int_equal(result, 1);
  assert_int_equal(to.memory[0], 'x');
}

void the_driving_thread_goes_on_while_a_submission_sleeps(void**) {
  Bench b{with_store_thread()};
  const test::Fd file{test::memory_file(page)};
  const test::Pipe pipe;
  List list{1};
  int result = 0;
  int refused = 0;
  {
    const Frozen kernel;
    start(b, io::Transfer::Way::write, file.file(), list.view(), io::Lane::store, &result,
          &refused);
    b.step();
    Frozen::wait_for_a_sleeper();
    for (int i = 0; i < 100; ++i) {
      b.step();
    }
    assert_int_equal(result, 0);
    assert_false(main_thread_slept);
  }
  run(b);
  assert_int_equal(result, page);
}

void what_waits_behind_a_sleeping_submission_is_cancelled_for_certain(void**) {
  Bench b{with_store_thread()};
  const test::Fd file{test::memory_file(page)};
  List list{1};
  const std::size_t count = 3;
  int results[count] = {};
  int refused[count] = {};
  io::OpTicket tickets[count];
  {
    const Frozen kernel;
    start(b, io::Transfer::Way::write, file.file(), list.view(), io::Lane::store, &results[0],
          &refused[0], &tickets[0]);
    b.step();
    Frozen::wait_for_a_sleeper();
    for (std::size_t i = 1; i < count; ++i) {
      start(b, io::Transfer::Way::write, file.file(), list.view(), io::Lane::store, &results[i],
            &refused[i], &tickets[i]);
    }
    b.step();
    for (io::OpTicket& ticket : tickets) {
      b.ring->cancel(ticket);
    }
    while (results[1] == 0 || results[2] == 0) {
      b.step();
    }
    assert_int_equal(results[1], -ECANCELED);
    assert_int_equal(results[2], -ECANCELED);
    assert_int_equal(results[0], 0);  // the kernel has it: it ends when the kernel says so
  }
  run(b);
  // The kernel has been asked to end it, too: it is done, or certainly not done.
  assert_true(results[0] == page || results[0] == -ECANCELED);
}

co::Task<void> sync_and_punch(io::Uring& ring, io::UringFile file, int* synced, int* punched) {
  *synced = co_await ring.sync(file, io::Sync::data);
  *punched = co_await ring.fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, Bytes{0},
                                     Bytes{page});
}

void sync_and_fallocate_go_through_the_store_thread(void**) {
  Bench b{with_store_thread()};
  const test::Fd file{test::memory_file(page)};
  int synced = 1;
  int punched = 1;
  b.group.spawn("both", sync_and_punch(*b.ring, file.file(), &synced, &punched));
  run(b);
  assert_int_equal(synced, 0);
  assert_int_equal(punched, 0);
  assert_int_equal(b.ring->stats().submits, 0);
}

void many_operations_of_both_lanes_all_end(void**) {
  Bench b{with_store_thread()};
  constexpr std::size_t count = 400;
  const test::Fd file{test::memory_file(page)};
  List list{1};
  std::vector<int> results(count);
  std::vector<int> refused(count);
  for (std::size_t i = 0; i < count; ++i) {
    start(b, io::Transfer::Way::write, file.file(), list.view(),
          i % 2 == 0 ? io::Lane::store : io::Lane::here, &results[i], &refused[i]);
  }
  run(b);
  for (const int result : results) {
    assert_int_equal(result, page);
  }
  assert_int_equal(b.ring->in_flight(), 0);
}

// An operation of a thread that ends is none of that thread's workers' (io-wq): these are the store
// thread's, and no exit waits for them.
void a_thread_that_ends_leaves_its_operations_alone(void**) {
  Bench b{with_store_thread()};
  const test::Fd file{test::memory_file(page)};
  int synced = 1;
  int punched = 1;
  b.group.spawn("both", sync_and_punch(*b.ring, file.file(), &synced, &punched));
  {
    const Frozen kernel;
    std::thread{[&b] { b.step(); }}.join();
    Frozen::wait_for_a_sleeper();
  }
  run(b);
  assert_int_equal(synced, 0);
  assert_int_equal(punched, 0);
}

}  // namespace

int main() {
  main_thread = pthread_self();
  const CMUnitTest tests[] = {
      cmocka_unit_test(lists_of_any_length_go_through_the_store_thread),
      cmocka_unit_test(what_is_refused_at_once_goes_through_the_store_thread),
      cmocka_unit_test(the_driving_thread_goes_on_while_a_submission_sleeps),
      cmocka_unit_test(what_waits_behind_a_sleeping_submission_is_cancelled_for_certain),
      cmocka_unit_test(sync_and_fallocate_go_through_the_store_thread),
      cmocka_unit_test(many_operations_of_both_lanes_all_end),
      cmocka_unit_test(a_thread_that_ends_leaves_its_operations_alone),
  };
  return cmocka_run_group_tests_name("store_thread", tests, nullptr, nullptr);
}
