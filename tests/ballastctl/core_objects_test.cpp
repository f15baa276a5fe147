// SPDX-License-Identifier: Apache-2.0
// What ballastctl core reads of objects that no command of a test can bring into the state that
// matters: mutexes that are locked, and stores that machines own in turn. This process makes them,
// and reads itself.
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "lib/backend/anatomy.h"
#include "lib/backend/shared_access.h"
#include "lib/co/landmark.h"
#include "lib/co/mutex.h"
#include "lib/co/sim_executor.h"
#include "lib/co/sleep.h"
#include "lib/co/task_group.h"
#include "targetcli-config/ballastctl/core/store.h"
#include "targetcli-config/ballastctl/core/views.h"
#include "tests/ballastctl/picture.h"

// after the others
#include "tests/cmocka.h"
#include "tests/json_manual.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::ctl::core;
using ballast::test::Picture;
using namespace std::chrono_literals;

namespace {

// --- mutexes

co::Task<void> hold(co::Executor& executor, co::Mutex* mutex) {
  const co::Mutex::Guard guard = co_await mutex->lock();
  co_await co::sleep_for(executor, 10s);
}

co::Task<void> hold_after(co::Executor& executor, co::Mutex* mutex, Nanoseconds time) {
  co_await co::sleep_for(executor, time);
  co_await hold(executor, mutex);
}

struct Locks {
  co::SimExecutor sim{1};
  co::Mutex mutex{sim.executor(), "the door"};
  co::Mutex other{sim.executor(), "another door"};
  co::TaskGroup group{sim.executor()};
  ~Locks() {
    for (int i = 0; i < 10 && group.live() > 0; ++i) {
      sim.run_for(30s);
    }
  }
};

void a_locked_mutex_has_an_owner_and_waiters(void**) {
  Locks f;
  f.group.spawn("first", hold(f.sim.executor(), &f.mutex));
  f.group.spawn("second", hold_after(f.sim.executor(), &f.mutex, 1s));
  f.group.spawn("third", hold_after(f.sim.executor(), &f.mutex, 2s));
  f.sim.run_for(5s);
  const Picture picture;
  const Json all = locks(picture.process());
  test::expect_in_manual(all, {"DOCUMENTS OF THE DAEMON", "core locks"});
  const Json found = all.at(0).at("mutexes");
  assert_int_equal(found.size(), 1);  // nobody has the other one
  const Json& mutex = found.at(0);
  assert_string_equal(mutex.at("mutex").get<std::string>().c_str(), "the door");
  assert_string_equal(mutex.at("owner").at("task").get<std::string>().c_str(), "first");
  assert_int_equal(mutex.at("owner").at("for_ns").get<std::uint64_t>(), Nanoseconds{5s}.count());
  assert_true(mutex.at("locked_at").get<std::string>().starts_with("core_objects_test.cpp:"));
  const Json& waiters = mutex.at("waiters");
  assert_int_equal(waiters.size(), 2);
  assert_string_equal(waiters.at(0).at("task").get<std::string>().c_str(), "second");
  assert_int_equal(waiters.at(0).at("for_ns").get<std::uint64_t>(), Nanoseconds{4s}.count());
  assert_string_equal(waiters.at(1).at("task").get<std::string>().c_str(), "third");
}

void the_next_waiter_is_the_owner_when_it_has_passed(void**) {
  Locks f;
  f.group.spawn("first", hold(f.sim.executor(), &f.mutex));
  f.group.spawn("second", hold_after(f.sim.executor(), &f.mutex, 1s));
  f.sim.run_for(13s);
  const Picture picture;
  const Json mutex = locks(picture.process()).at(0).at("mutexes").at(0);
  assert_string_equal(mutex.at("owner").at("task").get<std::string>().c_str(), "second");
  assert_int_equal(mutex.at("owner").at("for_ns").get<std::uint64_t>(), Nanoseconds{3s}.count());
  assert_true(mutex.at("waiters").empty());
}

void people_see_who_has_a_mutex_and_who_waits(void**) {
  Locks f;
  f.group.spawn("first", hold(f.sim.executor(), &f.mutex));
  f.group.spawn("second", hold_after(f.sim.executor(), &f.mutex, 1s));
  f.sim.run_for(2s);
  const Picture picture;
  const Json all = locks(picture.process());
  const std::string text = show_locks({all.begin(), all.end()}, {});
  assert_non_null(std::strstr(text.c_str(), "the door  first"));
  assert_non_null(std::strstr(text.c_str(), "has it"));
  assert_non_null(std::strstr(text.c_str(), "the door  second"));
  assert_non_null(std::strstr(text.c_str(), "waits"));
  assert_null(std::strstr(text.c_str(), "another door"));
}

// --- stores that machines own in turn

class Session final : public AccessSession {
 public:
  explicit Session(co::Executor& executor) : AccessSession{executor, "a test's last operation"} {}
  Result<OwnerSeen> look() override { return OwnerSeen{.address = "192.0.2.7:0/1", .group = 2}; }
  Result<std::string> take(const TakeOrder&) override { return std::string{"192.0.2.7:0/1"}; }
  co::Task<void> end() override {
    running().close();
    co_await running().drain();
  }
};

class Source final : public SessionSource {
 public:
  Words words() const override {
    return {.store = "store", .server = "the test", .closed = "closed"};
  }
  std::size_t most_old() const override { return 1; }
  void begin() override {}
  StoreSource::State state() override { return StoreSource::State::waiting; }
  std::unique_ptr<AccessSession> take() override { return nullptr; }
  void stop() override {}
};

co::Task<void> take_over(SharedAccess& shared, Move* moved) {
  *moved = co_await shared.take_over(Asker::operator_, shared.executor().now() + 60s, {});
}

// A shared store whose session is also the connection, as that of an image in Ceph is.
class SharedImage final : private AccessWatcher {
 public:
  SharedImage() { access.start(*this); }
  ~SharedImage() {
    group_.spawn("close", access.close());
    until([&] { return group_.live() == 0; });
  }
  void take() {
    Move moved = Move::failed;
    group_.spawn("take over", take_over(access, &moved));
    until([&] { return group_.live() == 0; });
    assert_int_equal(moved, Move::done);
  }
  // The session stays until the executor runs.
  void lose() { access.lost(*access.open_session(), "the test wants it"); }
  template <class Reached>
  void until(Reached reached) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    for (sim.run_ready(); !reached(); sim.run_ready()) {
      assert_true(std::chrono::steady_clock::now() < end);
      std::this_thread::sleep_for(100us);
    }
  }

  co::SimExecutor sim{1};

 private:
  void access_changed(bool) override {}
  co::TaskGroup group_{sim.executor()};
  const void* no_session_ = nullptr;
  co::Landmark landmark_{sim.executor(), backend::Anatomy::image, &no_session_};

 public:
  SharedAccess access{sim.executor(), "lun", std::make_unique<Session>(sim.executor()),
                      std::make_unique<Source>()};
};

// The store as the live LUN describes it, and as the dead one is read.
void it_reads_as_it_is(const SharedImage& image) {
  const Picture picture;
  watch::LunSnapshot dead;
  describe_store(picture.only(), picture.process().now(), dead);
  assert_string_equal(dead.access.c_str(), image.access.condition());
  assert_string_equal(dead.owner.c_str(), image.access.owner().address.c_str());
  const AccessSession* const session = image.access.open_session();
  if (session == nullptr) {
    assert_true(dead.connection.empty());
    return;
  }
  assert_string_equal(dead.connection.c_str(), session->lost() ? "fenced" : "connected");
  assert_true(dead.connection_since == session->since());
  assert_false(dead.log.has_value());
}

void a_store_on_standby(void**) {
  SharedImage image;
  image.sim.run_for(3s);
  it_reads_as_it_is(image);
  assert_string_equal(image.access.condition(), "standby");
}

void a_store_that_is_ours(void**) {
  SharedImage image;
  image.take();
  it_reads_as_it_is(image);
  assert_string_equal(image.access.condition(), "owner");
  assert_string_equal(image.access.owner().address.c_str(), "192.0.2.7:0/1");
}

void a_store_that_was_lost(void**) {
  SharedImage image;
  image.take();
  image.lose();
  assert_non_null(image.access.open_session());
  it_reads_as_it_is(image);
  assert_string_equal(image.access.condition(), "fenced");
}

void a_store_that_has_no_session_now(void**) {
  SharedImage image;
  image.take();
  image.lose();
  image.sim.run_ready();
  assert_null(image.access.open_session());
  it_reads_as_it_is(image);
  assert_string_equal(image.access.condition(), "fenced");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_locked_mutex_has_an_owner_and_waiters),
      cmocka_unit_test(the_next_waiter_is_the_owner_when_it_has_passed),
      cmocka_unit_test(people_see_who_has_a_mutex_and_who_waits),
      cmocka_unit_test(a_store_on_standby),
      cmocka_unit_test(a_store_that_is_ours),
      cmocka_unit_test(a_store_that_was_lost),
      cmocka_unit_test(a_store_that_has_no_session_now),
  };
  return cmocka_run_group_tests_name("core_objects", tests, nullptr, nullptr);
}
