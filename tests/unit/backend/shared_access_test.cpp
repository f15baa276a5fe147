// SPDX-License-Identifier: Apache-2.0
// What a process that stood still, as a paused virtual machine does, may do to a store that
// somebody else may have taken meanwhile.
#include "lib/backend/shared_access.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "lib/co/sim_executor.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace std::chrono_literals;

namespace {

// A store that machines own in turn, as all of them see it. Control threads read it.
struct Shared {
  std::atomic<bool> ours{false};
  std::atomic<bool> answers{true};  // false: a look at the owner hangs
  std::atomic<int> begun{0};        // looks
  std::atomic<int> ended{0};
};

class FakeSession final : public AccessSession {
 public:
  FakeSession(co::Executor& executor, Shared& store)
      : AccessSession{executor, "a test's last operation"}, store_{store} {}

  // What it returns was so when the look began.
  Result<OwnerSeen> look() override {
    OwnerSeen seen{.address = store_.ours ? "us" : "them"};
    ++store_.begun;
    while (!store_.answers) {
      std::this_thread::sleep_for(1ms);
    }
    ++store_.ended;
    return seen;
  }
  Result<std::string> take(const TakeOrder&) override {
    store_.ours = true;
    return std::string{"us"};
  }
  co::Task<void> end() override {
    running().close();
    co_await running().drain();
  }

 private:
  Shared& store_;
};

class FakeSource final : public SessionSource {
 public:
  FakeSource(co::Executor& executor, Shared& store) : executor_{executor}, store_{store} {}
  Words words() const override {
    return {.store = "store", .server = "the test", .closed = "closed"};
  }
  std::size_t most_old() const override { return 1; }
  void begin() override {}
  StoreSource::State state() override { return StoreSource::State::opened; }
  std::unique_ptr<AccessSession> take() override {
    return std::make_unique<FakeSession>(executor_, store_);
  }
  void stop() override {}

 private:
  co::Executor& executor_;
  Shared& store_;
};

// A store that is ours, in a process whose clock the test owns.
class Process final : private AccessWatcher {
 public:
  Process() {
    access.start(*this);
    Move moved = Move::failed;
    group_.spawn("take over", take_over(access, &moved));
    until([&] { return access.access() == Access::active && group_.live() == 0; });
    assert_int_equal(moved, Move::done);
  }
  ~Process() {
    store.answers = true;
    group_.spawn("close", access.close());
    until([&] { return group_.live() == 0; });
  }

  // Time passes, and the process runs. Looks at the owner end whenever their thread has its turn.
  void run_for(Nanoseconds time) {
    const TimePoint end = sim_.now() + time;
    while (sim_.now() < end) {
      const int begun = store.begun;
      sim_.run_for(std::min<Nanoseconds>(100ms, end - sim_.now()));
      if (store.answers) {
        until([&] { return store.ended >= begun && session_is_idle(); });
      }
    }
  }
  // Time passes, and the process does not run.
  void stand_still(Nanoseconds time) { sim_.clock().advance_to(sim_.now() + time); }
  // Runs, while time stands still, until `reached`.
  template <class Reached>
  void until(Reached reached) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    for (sim_.run_ready(); !reached(); sim_.run_ready()) {
      assert_true(std::chrono::steady_clock::now() < end);
      std::this_thread::sleep_for(100us);
    }
  }

  // A change that begins now, as a backend does it: whether it was allowed; nothing: it waits.
  std::optional<bool>& begin_change() {
    allowed_.reset();
    group_.spawn("change", change(access, &allowed_));
    sim_.run_ready();
    return allowed_;
  }
  bool begin_and_end_change() {
    std::optional<bool>& allowed = begin_change();
    until([&] { return allowed.has_value(); });
    return *allowed;
  }

 private:
  static co::Task<void> take_over(SharedAccess& shared, Move* moved) {
    *moved = co_await shared.take_over(Asker::operator_, shared.executor().now() + 60s, {});
  }
  static co::Task<void> change(SharedAccess& shared, std::optional<bool>* allowed) {
    bool ours = shared.session() != nullptr;
    if (shared.must_verify()) {
      ours = co_await shared.verified();
    }
    *allowed = ours;
  }
  void access_changed(bool) override {}
  bool session_is_idle() {
    return access.open_session() == nullptr || access.open_session()->control().pending() == 0;
  }

  co::SimExecutor sim_{1};
  co::TaskGroup group_{sim_.executor()};
  std::optional<bool> allowed_;

 public:
  Shared store;
  SharedAccess access{sim_.executor(), "lun", std::make_unique<FakeSession>(sim_.executor(), store),
                      std::make_unique<FakeSource>(sim_.executor(), store)};
};

constexpr Nanoseconds longer = SharedAccess::most_still + Nanoseconds{1};

void a_process_that_runs_looks_now_and_then_and_holds_no_change(void**) {
  Process process;
  const int looks = process.store.begun;
  for (int i = 0; i < 20; ++i) {
    process.run_for(500ms);
    assert_false(process.access.must_verify());
  }
  assert_true(process.store.begun >= looks + 4);
}

// The look that is due anyhow hangs, and no change waits for it.
void a_change_does_not_wait_for_a_look_that_is_due(void**) {
  Process process;
  process.store.answers = false;
  process.stand_still(SharedAccess::most_still);
  assert_true(process.begin_change() == true);
  process.until([&] { return process.store.begun > process.store.ended; });
  process.run_for(10s);
  assert_true(process.begin_change() == true);
}

void after_it_stood_still_a_change_waits_for_a_look(void**) {
  Process process;
  process.store.answers = false;
  process.stand_still(longer);
  std::optional<bool>& allowed = process.begin_change();
  process.until([&] { return process.store.begun > process.store.ended; });
  process.run_for(10s);
  assert_false(allowed.has_value());
  process.store.answers = true;
  process.until([&] { return allowed.has_value(); });
  assert_true(*allowed);
  assert_false(process.access.must_verify());
}

void a_change_is_refused_if_somebody_took_the_store_meanwhile(void**) {
  Process process;
  process.store.ours = false;
  process.stand_still(longer);
  assert_false(process.begin_and_end_change());
  assert_true(process.access.access() == Access::standby);
}

// The change asks before the beat does, or after it.
void whoever_runs_first_notices(void**) {
  for (const bool beat_first : {false, true}) {
    Process process;
    process.store.answers = false;
    process.stand_still(longer);
    if (beat_first) {
      process.run_for(1ms);
    }
    assert_true(process.access.must_verify());
    process.run_for(1s);
    assert_true(process.access.must_verify());
  }
}

// What it finds is how things were before.
void a_look_that_began_before_verifies_nothing(void**) {
  Process process;
  process.store.answers = false;
  process.run_for(SharedAccess::look_interval);
  process.until([&] { return process.store.begun > process.store.ended; });
  const int before = process.store.begun;
  process.store.ours = false;
  process.stand_still(longer);
  std::optional<bool>& allowed = process.begin_change();
  process.store.answers = true;
  process.until([&] { return allowed.has_value(); });
  assert_false(*allowed);
  assert_true(process.store.begun > before);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_process_that_runs_looks_now_and_then_and_holds_no_change),
      cmocka_unit_test(a_change_does_not_wait_for_a_look_that_is_due),
      cmocka_unit_test(after_it_stood_still_a_change_waits_for_a_look),
      cmocka_unit_test(a_change_is_refused_if_somebody_took_the_store_meanwhile),
      cmocka_unit_test(whoever_runs_first_notices),
      cmocka_unit_test(a_look_that_began_before_verifies_nothing),
  };
  return cmocka_run_group_tests_name("shared access", tests, nullptr, nullptr);
}
