// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/lun.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/lun/rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
using namespace std::chrono_literals;
using scsi::SenseKey;

namespace {

const Bytes8 test_unit_ready(6);
const Bytes8 start_unit{0x1b, 0, 0, 0, 1, 0};
const Bytes8 inquiry{0x12, 0, 0, 0, 96, 0};
Bytes8 read_10() {
  return cdb_of(0x28, 0, 8, 1);
}
Bytes8 write_10() {
  return cdb_of(0x2a, 0, 8, 1);
}
constexpr scsi::AdditionalSense becoming_ready = scsi::asc::becoming_ready;

bool busy(const Answer& answer) {
  return answer.ended && answer.status == scsi::Status::busy;
}

// A LUN without a store, and the source that it waits for.
struct Waiting {
  RigSource::Is source;
  LunRig rig{usual_setup(), false};
  Waiting() { rig.lun->wait_for(std::make_unique<RigSource>(source)); }
  void opens() {
    source.store = rig.make_store(usual_setup());
    rig.spy->pretend().room = true;  // as a file, which it was taken for
    source.state = backend::StoreSource::State::opened;
    rig.sim.run_for(lun::Lun::look_interval);
  }
};

void becoming_ready_it_says_who_it_is_and_that_it_is_becoming_ready(void**) {
  Waiting waiting;
  LunRig& rig = waiting.rig;
  const Answer early = rig.ask(inquiry);
  assert_true(early.good());
  assert_true(rig.ask(test_unit_ready).failed(SenseKey::not_ready, becoming_ready));
  assert_true(rig.ask(start_unit).failed(SenseKey::not_ready, becoming_ready));
  assert_true(busy(rig.ask(read_10())));
  waiting.opens();
  assert_true(rig.ask(test_unit_ready).good());
  assert_true(rig.ask(inquiry).reply == early.reply);
  assert_true(rig.ask(read_10()).good());
}

void without_an_identity_everything_is_busy(void**) {
  LunRig rig;
  rig.identified = false;
  assert_true(busy(rig.ask(inquiry)));
  assert_true(busy(rig.ask(read_10())));
  rig.identified = true;
  assert_true(rig.ask(inquiry).good());
}

void closed_while_becoming_ready_it_is_gone_at_once_and_wants_nothing(void**) {
  Waiting waiting;
  waiting.rig.close(5s);
  assert_true(waiting.rig.lun->is_gone());
  assert_false(waiting.source.wanted);
}

void a_refused_store_leaves_a_lun_that_says_so_and_can_be_closed(void**) {
  Waiting waiting;
  waiting.source.state = backend::StoreSource::State::refused;
  waiting.rig.sim.run_for(1s);
  assert_true(waiting.rig.ask(inquiry).good());
  for (const Bytes8& cdb : {read_10(), test_unit_ready, start_unit}) {
    assert_true(
        waiting.rig.ask(cdb).failed(SenseKey::not_ready, scsi::asc::manual_intervention_required));
  }
  waiting.rig.close(5s);
  assert_true(waiting.rig.lun->is_gone());
}

void a_store_that_turns_out_different_is_announced(void**) {
  Waiting waiting;
  assert_true(waiting.rig.ask(inquiry).good());
  waiting.source.store = waiting.rig.make_store(usual_setup());
  waiting.rig.spy->pretend_geometry().physical_block = Bytes{512};
  waiting.source.state = backend::StoreSource::State::opened;
  waiting.rig.sim.run_for(lun::Lun::look_interval);
  assert_true(waiting.rig.ask(read_10()).failed(SenseKey::unit_attention,
                                                scsi::asc::inquiry_data_has_changed));
  assert_true(waiting.rig.ask(read_10()).good());
}

void idle_it_is_closed_at_once(void**) {
  LunRig rig;
  assert_true(rig.ask(read_10()).good());
  rig.close(5s);
  assert_true(rig.lun->has_departed() && rig.lun->is_gone());
}

void a_closing_lun_waits_for_its_commands_and_no_longer_than_its_patience(void**) {
  LunRig rig;
  rig.spy->gate.reset();
  assert_false(rig.send(write_10(), Bytes8(512)).ended);
  rig.close(5s);
  rig.sim.run_for(4s);
  assert_int_equal(rig.lun->unanswered(), 1);
  assert_false(rig.lun->has_departed());
  rig.sim.run_for(2500ms);
  assert_int_equal(rig.lun->unanswered(), 0);
  assert_true(rig.lun->has_departed());
  assert_false(rig.lun->is_gone());
  rig.spy->gate.set();
  rig.sim.run_ready();
  assert_true(rig.lun->is_gone());
}

// Before it is closed, as when the daemon waits for its ring to be empty.
void told_to_stop_a_lun_that_hangs_ends_its_commands_by_itself(void**) {
  LunRig rig;
  rig.spy->gate.reset();
  assert_false(rig.send(write_10(), Bytes8(512)).ended);
  rig.lun->stop();
  rig.sim.run_for(6s);
  assert_int_equal(rig.lun->unanswered(), 0);
  assert_true(busy(rig.ask(read_10())));
  assert_false(rig.lun->has_departed());
  rig.close(5s);
  rig.sim.run_for(2s);
  assert_true(rig.lun->has_departed());
}

void told_to_stop_a_lun_that_works_goes_on_until_it_is_closed(void**) {
  LunRig rig;
  assert_true(rig.ask(read_10()).good());
  rig.lun->stop();
  rig.sim.run_for(6s);
  assert_true(rig.ask(read_10()).good());
  rig.close(5s);
  assert_true(rig.lun->is_gone());
}

void a_resize_under_way_is_waited_for(void**) {
  LunRig rig;
  assert_true(rig.ask(read_10()).good());
  rig.spy->gate.reset();
  int ended = 0;
  rig.lun->resize(Bytes{8 << 20}, [&ended](const Result<void>&) { ++ended; });
  rig.sim.run_ready();
  rig.close();
  rig.sim.run_for(5s);
  assert_true(rig.lun->has_departed());
  assert_false(rig.lun->is_gone());
  rig.spy->gate.set();
  rig.sim.run_ready();
  assert_true(rig.lun->is_gone());
  assert_int_equal(ended, 1);
}

void one_that_has_departed_asks_its_store_for_no_other_size(void**) {
  LunRig rig;
  rig.spy->gate.reset();
  assert_false(rig.send(write_10(), Bytes8(512)).ended);
  rig.close();
  rig.sim.run_for(5s);
  assert_true(rig.lun->has_departed());
  std::string said;
  rig.lun->resize(Bytes{8 << 20},
                  [&said](const Result<void>& result) { said = result.error().message; });
  rig.sim.run_ready();
  assert_non_null(std::strstr(said.c_str(), "reports: not ready"));
}

void resized_it_says_so_once(void**) {
  LunRig rig;
  assert_true(rig.ask(read_10()).good());
  bool done = false;
  rig.lun->resize(Bytes{8 << 20}, [&done](const Result<void>& result) { done = result.ok(); });
  rig.sim.run_ready();
  assert_true(done);
  assert_true(
      rig.ask(read_10()).failed(SenseKey::unit_attention, scsi::asc::capacity_data_has_changed));
  assert_true(rig.ask(read_10()).good());
}

void sizes_that_cannot_be_are_refused(void**) {
  Waiting waiting;
  std::string said;
  const auto note = [&said](const Result<void>& result) {
    said = result ? "" : result.error().message;
  };
  waiting.rig.lun->resize(Bytes{8 << 20}, note);
  assert_non_null(std::strstr(said.c_str(), "while it is becoming ready"));
  waiting.opens();
  for (const Bytes size : {Bytes{}, Bytes{1000}}) {
    waiting.rig.lun->resize(size, note);
    assert_non_null(
        std::strstr(said.c_str(), "must be a positive multiple of the block size, 512 bytes"));
  }
}

void what_cannot_change_while_it_is_open_is_named(void**) {
  LunRig rig;
  lun::LunConfig wanted = rig.lun->config();
  wanted.deadline = 7s;
  assert_true(rig.lun->reconfigure(wanted).ok());
  assert_true(rig.lun->config().deadline == 7s);
  wanted.queue_depth = 7;
  const Result<void> refused = rig.lun->reconfigure(wanted);
  assert_non_null(std::strstr(refused.error().message.c_str(), "cannot change from"));
}

void a_front_end_that_is_less_patient_sets_the_deadline(void**) {
  LunRig rig;
  assert_true(rig.ask(read_10()).good());
  rig.lun->set_longest_hold(8s);
  assert_true(rig.lun->task_set()->limits().deadline == 8s);
  rig.lun->set_longest_hold({});
  assert_true(rig.lun->task_set()->limits().deadline == 20s);
}

void a_snapshot_of_a_lun_that_waits_says_what_for(void**) {
  Waiting waiting;
  watch::LunSnapshot snapshot;
  waiting.rig.lun->describe({}, &snapshot);
  assert_non_null(std::strstr(snapshot.backend.c_str(), "waiting for "));
  waiting.opens();
  waiting.rig.lun->describe({}, &snapshot);
  assert_string_equal(snapshot.backend.c_str(), "spy:");
}

void a_snapshot_has_the_lists_that_were_asked_for(void**) {
  LunRig rig;
  rig.spy->gate.reset();
  assert_false(rig.send(write_10(), Bytes8(512)).ended);
  watch::LunSnapshot short_one;
  rig.lun->describe({}, &short_one);
  assert_true(short_one.in_flight.empty() && short_one.tasks.empty());
  assert_true(short_one.unanswered == 1 && short_one.oldest.has_value());
  watch::LunSnapshot whole;
  rig.lun->describe({.in_flight = true, .slow_requests = true, .tasks = true}, &whole);
  assert_int_equal(whole.in_flight.size(), 1);
  assert_false(whole.tasks.empty());
}

// What the rig's LUN logs.
std::vector<std::string>& log_lines() {
  static std::vector<std::string> lines;
  return lines;
}

std::size_t lines_with(const char* words) {
  return static_cast<std::size_t>(std::ranges::count_if(
      log_lines(),
      [words](const std::string& line) { return line.find(words) != std::string::npos; }));
}

void a_slow_command_has_the_log_say_what_the_store_waits_for(void**) {
  LunRig rig;
  set_log_sink([](LogLevel, std::string_view line) { log_lines().emplace_back(line); });
  rig.spy->gate.reset();
  rig.spy->client_waits_for = "osd.3, object x, for 1.0 s";
  assert_false(rig.send(write_10(), Bytes8(512)).ended);
  rig.sim.run_for(900ms);
  assert_int_equal(lines_with("waits for osd.3"), 0);
  rig.sim.run_for(200ms);
  assert_int_equal(lines_with("slow: the storage's client waits for osd.3, object x, for 1.0 s"),
                   1);
  assert_false(rig.send(cdb_of(0x2a, 0, 100, 1), Bytes8(512)).ended);  // is slow two seconds later
  rig.sim.run_for(3s);
  assert_int_equal(lines_with("waits for osd.3"), 1);  // once in a while is enough
  rig.spy->client_waits_for.clear();
  rig.spy->gate.set();
  rig.sim.run_ready();
  assert_int_equal(lines_with("was answered GOOD"), 2);
  watch::LunSnapshot ended;
  rig.lun->describe({.slow_requests = true}, &ended);
  assert_int_equal(ended.slow_requests.size(), 2);
  for (const watch::SlowRequest& request : ended.slow_requests) {  // the second came later
    assert_string_equal(request.waited_for.c_str(),
                        request.record.number == 1 ? "osd.3, object x, for 1.0 s" : "");
  }
}

void an_operator_who_asks_is_told_what_the_store_waits_for(void**) {
  LunRig rig;
  rig.spy->client_waits_for = "osd.3";
  std::vector<watch::LunSnapshot> told;
  const auto inspect = [&](bool in_flight) {
    rig.lun->inspect({.in_flight = in_flight}, 1s, [&told](Result<watch::LunSnapshot> snapshot) {
      told.push_back(std::move(snapshot).value());
    });
    rig.sim.run_ready();
    return told.back().waits_for;
  };
  assert_string_equal(inspect(true).c_str(), "");  // nothing is in flight
  rig.spy->gate.reset();
  assert_false(rig.send(write_10(), Bytes8(512)).ended);
  assert_string_equal(inspect(false).c_str(), "");
  assert_string_equal(inspect(true).c_str(), "osd.3");
  assert_string_equal(told.back().connection.c_str(), "connected");
  assert_int_equal(told.back().in_flight.size(), 1);
  rig.close();
  rig.sim.run_for(2s);
  assert_string_equal(inspect(true).c_str(), "");  // the store is not asked any more
  assert_int_equal(told.size(), 4);
}

void on_standby_its_commands_are_ended(void**) {
  LunRig rig{usual_setup(), false};
  FakeShared shared{rig.executor()};
  backend::Store store = rig.make_store(usual_setup());
  rig.spy->shared_store = &shared;
  rig.lun->use(std::move(store));
  rig.sim.run_ready();
  assert_true(rig.ask(read_10()).good());
  rig.spy->gate.reset();
  assert_false(rig.send(write_10(), Bytes8(512)).ended);
  assert_false(rig.send(read_10(), Bytes8(512)).ended);
  shared.becomes(backend::Access::standby);
  rig.sim.run_for(scsi::TaskSet::cancel_grace);
  assert_int_equal(rig.lun->unanswered(), 0);
  rig.spy->gate.set();
  rig.close();
}

// The newest and the oldest in turn; notes if anything is left when the LUN is gone. Whoever waits
// for that destroys the LUN then, on another thread.
class BothEnds final : public co::ReadyOrder {
 public:
  explicit BothEnds(const lun::Lun& lun) : lun_{lun} {}
  std::size_t pick(std::size_t ready_count) override {
    left_ = left_ || lun_.is_gone();
    newest_ = !newest_;
    return newest_ ? ready_count - 1 : 0;
  }
  bool left() const { return left_; }

 private:
  const lun::Lun& lun_;
  bool left_ = false;
  bool newest_ = false;
};

void once_it_is_gone_nothing_of_it_is_queued(void**) {
  LunRig rig;
  rig.spy->gate.reset();
  assert_false(rig.send(write_10(), Bytes8(512)).ended);
  rig.sim.run_for(10s);
  rig.lun->stop();
  rig.sim.run_for(lun::Lun::close_patience);
  BothEnds order{*rig.lun};
  rig.executor().set_ready_order(&order);
  rig.spy->gate.set();
  rig.close();
  assert_true(rig.lun->is_gone());
  assert_false(order.left());
  rig.executor().set_ready_order(nullptr);
}

// A LUN on a store that tells how much room it has, and wants to hear when that is below 8 MiB.
struct Thin {
  LunRig rig{with_threshold(), false};
  backend::Store store = rig.make_store(with_threshold());
  explicit Thin(std::uint64_t mebibytes = 9) {
    rig.spy->pretend().room = true;
    has(mebibytes);
    rig.lun->use(std::move(store));
    rig.sim.run_ready();
  }
  static lun::LunSetup with_threshold() {
    lun::LunSetup setup = usual_setup();
    setup.config.soft_threshold = Bytes{8 << 20};
    return setup;
  }
  void has(std::uint64_t mebibytes) {
    rig.spy->has_room = backend::Room{.free = Bytes{mebibytes << 20}, .used = Bytes{}};
  }
  void becomes(std::uint64_t mebibytes) {
    has(mebibytes);
    rig.sim.run_for(lun::RoomWatch::interval);
  }
  bool says_so() {
    return rig.ask(read_10()).failed(SenseKey::unit_attention, scsi::asc::soft_threshold_reached);
  }
};

void below_the_soft_threshold_it_says_so_once(void**) {
  Thin thin;
  assert_true(thin.rig.ask(read_10()).good());
  thin.becomes(8);
  assert_true(thin.rig.ask(read_10()).good());
  thin.becomes(7);
  assert_true(thin.says_so());
  assert_true(thin.rig.ask(read_10()).good());
  thin.becomes(3);
  assert_true(thin.rig.ask(read_10()).good());
  thin.becomes(20);
  assert_true(thin.rig.ask(read_10()).good());
  thin.becomes(7);
  assert_true(thin.says_so());
}

void another_threshold_counts_at_once(void**) {
  Thin thin;
  assert_true(thin.rig.ask(read_10()).good());
  lun::LunConfig wanted = thin.rig.lun->config();
  wanted.soft_threshold = Bytes{10 << 20};
  assert_true(thin.rig.lun->reconfigure(wanted).ok());
  thin.rig.sim.run_ready();
  assert_true(thin.says_so());
  assert_true(thin.rig.ask(read_10()).good());
}

void the_room_that_was_found_before_the_first_command_is_in_the_log_page(void**) {
  Thin thin;
  assert_int_equal(be32(thin.rig.ask({0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 0xff, 0}).reply, 8), 9);
}

void below_the_threshold_from_the_beginning_it_says_so_to_the_first_command(void**) {
  Thin thin{7};
  assert_true(thin.says_so());
  assert_true(thin.rig.ask(read_10()).good());
}

void a_threshold_for_a_store_that_cannot_tell_its_room_is_refused(void**) {
  LunRig rig;
  lun::LunConfig wanted = rig.lun->config();
  wanted.soft_threshold = Bytes{8 << 20};
  wanted.deadline = 7s;
  const Result<void> refused = rig.lun->reconfigure(wanted);
  assert_false(refused.ok());
  assert_non_null(
      std::strstr(refused.error().message.c_str(), "cannot change soft_threshold to 8"));
  assert_true(rig.lun->config().deadline != 7s);
}

void a_store_that_does_not_tell_its_room_holds_up_nothing_but_its_own_end(void**) {
  Thin thin;
  thin.rig.spy->gate.reset();
  thin.rig.sim.run_for(lun::RoomWatch::interval);
  assert_true(thin.rig.ask({0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 0xff, 0}).good());
  thin.rig.close(1s);
  thin.rig.sim.run_for(lun::Lun::close_patience);
  assert_true(thin.rig.lun->has_departed());
  assert_false(thin.rig.lun->is_gone());
  thin.rig.spy->gate.set();
  thin.rig.sim.run_for(1s);
  assert_true(thin.rig.lun->is_gone());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(becoming_ready_it_says_who_it_is_and_that_it_is_becoming_ready),
      cmocka_unit_test(without_an_identity_everything_is_busy),
      cmocka_unit_test(closed_while_becoming_ready_it_is_gone_at_once_and_wants_nothing),
      cmocka_unit_test(a_refused_store_leaves_a_lun_that_says_so_and_can_be_closed),
      cmocka_unit_test(a_store_that_turns_out_different_is_announced),
      cmocka_unit_test(idle_it_is_closed_at_once),
      cmocka_unit_test(a_closing_lun_waits_for_its_commands_and_no_longer_than_its_patience),
      cmocka_unit_test(told_to_stop_a_lun_that_hangs_ends_its_commands_by_itself),
      cmocka_unit_test(told_to_stop_a_lun_that_works_goes_on_until_it_is_closed),
      cmocka_unit_test(a_resize_under_way_is_waited_for),
      cmocka_unit_test(one_that_has_departed_asks_its_store_for_no_other_size),
      cmocka_unit_test(resized_it_says_so_once),
      cmocka_unit_test(sizes_that_cannot_be_are_refused),
      cmocka_unit_test(what_cannot_change_while_it_is_open_is_named),
      cmocka_unit_test(a_front_end_that_is_less_patient_sets_the_deadline),
      cmocka_unit_test(a_snapshot_of_a_lun_that_waits_says_what_for),
      cmocka_unit_test(a_snapshot_has_the_lists_that_were_asked_for),
      cmocka_unit_test(a_slow_command_has_the_log_say_what_the_store_waits_for),
      cmocka_unit_test(an_operator_who_asks_is_told_what_the_store_waits_for),
      cmocka_unit_test(on_standby_its_commands_are_ended),
      cmocka_unit_test(once_it_is_gone_nothing_of_it_is_queued),
      cmocka_unit_test(below_the_soft_threshold_it_says_so_once),
      cmocka_unit_test(another_threshold_counts_at_once),
      cmocka_unit_test(the_room_that_was_found_before_the_first_command_is_in_the_log_page),
      cmocka_unit_test(below_the_threshold_from_the_beginning_it_says_so_to_the_first_command),
      cmocka_unit_test(a_threshold_for_a_store_that_cannot_tell_its_room_is_refused),
      cmocka_unit_test(a_store_that_does_not_tell_its_room_holds_up_nothing_but_its_own_end),
  };
  return cmocka_run_group_tests_name("lun", tests, nullptr, nullptr);
}
