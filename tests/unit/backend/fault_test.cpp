// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/fault.h"

#include <atomic>
#include <chrono>
#include <fstream>

#include "lib/backend/checked.h"
#include "lib/backend/fault_rules.h"
#include "lib/backend/memory.h"
#include "lib/base/log.h"
#include "tests/unit/backend/lab.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::test;

namespace {

constexpr Bytes size{std::uint64_t{1} << 20};

std::string refusal(std::string_view text) {
  const Result<FaultRules> rules = FaultRules::parse(text);
  return rules ? "accepted" : rules.error().message;
}

void expect_in(const std::string& message, const char* words) {
  if (message.find(words) == std::string::npos) {
    print_error("\"%s\" lacks \"%s\"\n", message.c_str(), words);
    assert_true(false);
  }
}

FaultSubject read_at(std::uint64_t lba, std::uint64_t count = 1) {
  return FaultSubject{OpKind::read, Lba{lba}, BlockCount{count}};
}

// --- rules
// ----------------------------------------------------------------------------------------

void the_first_rule_that_matches_wins(void**) {
  Result<FaultRules> rules = FaultRules::parse(
      "# a comment\n\n  read error=medium_error lba=10-19 # here\nall delay=20s\n");
  assert_true(rules.ok());
  assert_int_equal(rules.value().size(), 2);
  assert_true(rules.value().draw(read_at(10))->effect == FaultRule::Effect::error);
  assert_true(rules.value().draw(read_at(9))->effect == FaultRule::Effect::delay);
}

void a_range_matches_what_touches_it(void**) {
  Result<FaultRules> rules = FaultRules::parse("read freeze lba=10-19");
  assert_false(rules.value().draw(read_at(2, 8)).has_value());
  assert_true(rules.value().draw(read_at(2, 9)).has_value());
  assert_true(rules.value().draw(read_at(19)).has_value());
  assert_false(rules.value().draw(read_at(20)).has_value());
  Result<FaultRules> all = FaultRules::parse("all freeze lba=0-19");
  assert_false(all.value().draw(FaultSubject{OpKind::flush, Lba{}, BlockCount{}}).has_value());
}

void first_every_and_chance_count_what_matches(void**) {
  Result<FaultRules> first = FaultRules::parse("read error=medium_error first=2");
  Result<FaultRules> every = FaultRules::parse("read error=medium_error every=3");
  Result<FaultRules> chance = FaultRules::parse("seed 7\nread error=medium_error chance=25%");
  std::string pattern_first;
  std::string pattern_every;
  unsigned drawn = 0;
  for (int i = 0; i < 1000; ++i) {
    const bool hit_first = first.value().draw(read_at(0)).has_value();
    const bool hit_every = every.value().draw(read_at(0)).has_value();
    drawn += chance.value().draw(read_at(0)).has_value() ? 1U : 0U;
    if (i < 6) {
      pattern_first += hit_first ? 'x' : '.';
      pattern_every += hit_every ? 'x' : '.';
    }
  }
  assert_string_equal(pattern_first.c_str(), "xx....");
  assert_string_equal(pattern_every.c_str(), "..x..x");
  assert_in_range(drawn, 200, 300);
}

void a_bad_line_is_named_and_the_text_refused(void**) {
  expect_in(refusal("all freeze\nreads freeze\n"), "line 2: unknown operation \"reads\"");
  expect_in(refusal("read"), "line 1: \"\" is not an effect");
  expect_in(refusal("read delay=5"), "line 1: delay: \"5\" has no unit");
  expect_in(refusal("read error=sad"), "unknown status \"sad\"");
  expect_in(refusal("read,write error=no_space"), "not all of these operations");
  expect_in(refusal("read block=61s"), "line 1: block=61s is too long");
  expect_in(refusal("read block=5"), "line 1: block: \"5\" has no unit");
  expect_in(refusal("read block=5s cancellable"), "cancellable can be combined with delay and");
  expect_in(refusal("read block=5s stubborn"), "stubborn can be combined with delay and");
  expect_in(refusal("read block=1min after"), "accepted");
  expect_in(refusal("read freeze lba=5"), "is not a range");
  expect_in(refusal("read freeze lba=5-4"), "ends before it begins");
  expect_in(refusal("read freeze chance=101%"), "1 to 100");
  expect_in(refusal("read freeze first=0"), "out of range");
  expect_in(refusal("read freeze now"), "unknown condition \"now\"");
  expect_in(refusal("write error=no_space after"), "medium_error only");
  expect_in(refusal("seed x"), "line 1: seed");
}

void an_error_may_be_an_errno_that_means_what_the_operation_makes_of_it(void**) {
  Result<FaultRules> rules = FaultRules::parse("all error=EROFS");
  assert_true(rules.ok());
  const std::optional<FaultRule> rule = rules.value().draw(read_at(0));
  assert_int_equal(rule->error_of(OpKind::write), IoStatus::write_protected);
  assert_int_equal(rule->error_of(OpKind::read), IoStatus::medium_error);
  expect_in(refusal("read error=EWHAT"), "unknown status");
  expect_in(refusal("write error=ENOMEM after"), "after can be combined with");
  expect_in(refusal("write error=EIO after"), "accepted");
}

void rules_are_bounded(void**) {
  std::string text;
  for (int i = 0; i < 65; ++i) {
    text += "read freeze\n";
  }
  expect_in(refusal(text), "line 65: there are more than 64 rules");
  expect_in(refusal(std::string(20000, '#')), "may have 16384");
}

// --- the wrapper
// ----------------------------------------------------------------------------------

struct Rehearsal {
  explicit Rehearsal(const std::string& rules) {
    say(rules);
    backend = make_checked(make_fault(make_checked(make_memory(lab.executor(), size, Bytes{512})),
                                      folder.file("control")));
  }
  ~Rehearsal() {
    if (backend != nullptr) {
      lab.run(backend->close());
    }
  }
  void say(const std::string& rules) { std::ofstream{folder.file("control")} << rules; }
  IoStatus write(std::uint64_t lba, std::byte value) {
    std::vector<std::byte> bytes(512, value);
    const Flat flat{bytes};
    return lab.run(backend->write(Bytes{lba * 512}, flat.view(), Fua::no));
  }
  std::byte read(std::uint64_t lba) {
    std::vector<std::byte> bytes(512);
    const Flat flat{bytes};
    const IoStatus status = lab.run(backend->read(Bytes{lba * 512}, flat.view()));
    return ok(status) ? bytes[0] : std::byte{0xEE};
  }

  Lab lab;
  Folder folder;
  std::unique_ptr<Backend> backend;
};

co::Task<void> flush_into(Backend* backend, std::optional<IoStatus>* status) {
  const IoStatus flushed = co_await backend->flush();
  *status = flushed;
}

void an_error_before_the_operation_leaves_the_data_alone(void**) {
  Rehearsal rehearsal{"write error=no_space first=1"};
  assert_int_equal(rehearsal.write(3, std::byte{1}), IoStatus::no_space);
  assert_int_equal(rehearsal.read(3), std::byte{0});
  assert_int_equal(rehearsal.write(3, std::byte{1}), IoStatus::ok);
  assert_int_equal(rehearsal.read(3), std::byte{1});
}

void an_error_after_the_operation_has_changed_the_data(void**) {
  Rehearsal rehearsal{"write error=medium_error after"};
  assert_int_equal(rehearsal.write(3, std::byte{1}), IoStatus::medium_error);
  assert_int_equal(rehearsal.read(3), std::byte{1});
}

void a_delay_takes_at_least_its_time(void**) {
  Rehearsal rehearsal{"flush delay=30ms"};
  const TimePoint before = rehearsal.lab.executor().now();
  assert_int_equal(rehearsal.lab.run(rehearsal.backend->flush()), IoStatus::ok);
  rehearsal.lab.step();
  assert_true(rehearsal.lab.executor().now() - before >= std::chrono::milliseconds{30});
}

void what_is_frozen_goes_on_when_the_file_says_so(void**) {
  Rehearsal rehearsal{"flush freeze"};
  std::optional<IoStatus> status;
  co::TaskGroup group{rehearsal.lab.executor()};
  group.spawn("flush", flush_into(rehearsal.backend.get(), &status));
  for (int i = 0; i < 50; ++i) {
    rehearsal.lab.step();
  }
  const bool was_frozen = !status.has_value();
  const IoStatus written = rehearsal.write(1, std::byte{1});
  rehearsal.say("thaw\n");
  rehearsal.lab.drain(group);
  assert_true(was_frozen);
  assert_int_equal(written, IoStatus::ok);
  assert_int_equal(*status, IoStatus::ok);
}

// Begins a flush, closes the backend, and returns how the flush has ended.
IoStatus flush_and_close(Rehearsal& rehearsal) {
  std::optional<IoStatus> status;
  co::TaskGroup group{rehearsal.lab.executor()};
  group.spawn("flush", flush_into(rehearsal.backend.get(), &status));
  rehearsal.lab.step();
  rehearsal.lab.run(rehearsal.backend->close());
  rehearsal.lab.drain(group);
  rehearsal.backend.reset();
  return *status;
}

void close_ends_what_is_frozen(void**) {
  Rehearsal rehearsal{"all freeze"};
  assert_int_equal(flush_and_close(rehearsal), IoStatus::cancelled);
}

// The inner wrapper gives the operation back only after the outer one has begun to close.
void close_ends_what_freezes_only_then(void**) {
  Rehearsal rehearsal{"flush delay=50ms stubborn"};
  const Folder folder;
  std::ofstream{folder.file("control")} << "flush freeze after\n";
  rehearsal.backend =
      make_checked(make_fault(std::move(rehearsal.backend), folder.file("control")));
  assert_int_equal(flush_and_close(rehearsal), IoStatus::ok);
}

std::atomic<unsigned> refused_texts{0};

void count_refused_texts(LogLevel, std::string_view line) {
  if (line.find("line 2: unknown operation") != std::string_view::npos &&
      line.find("stay as they are") != std::string_view::npos) {
    ++refused_texts;
  }
}

void a_bad_text_is_logged_and_leaves_the_rules_as_they_were(void**) {
  Rehearsal rehearsal{"flush error=medium_error"};
  refused_texts = 0;
  set_log_sink(&count_refused_texts);
  rehearsal.say("all freeze\nnonsense\n");
  while (refused_texts == 0) {
    rehearsal.lab.step();
  }
  set_log_sink(nullptr);
  assert_int_equal(rehearsal.lab.run(rehearsal.backend->flush()), IoStatus::medium_error);
  assert_int_equal(rehearsal.write(0, std::byte{0}), IoStatus::ok);
}

void no_control_file_means_no_faults(void**) {
  Rehearsal rehearsal{""};
  std::filesystem::remove(rehearsal.folder.file("control"));
  assert_int_equal(rehearsal.write(0, std::byte{5}), IoStatus::ok);
  assert_int_equal(rehearsal.read(0), std::byte{5});
}

void a_control_file_must_be_reachable(void**) {
  const Folder folder;
  assert_true(check_fault_control(folder.file("control")).ok());
  expect_in(check_fault_control(folder.path()).error().message, "is not a regular file");
  expect_in(check_fault_control(folder.file("a/b")).error().message, "cannot be reached");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_first_rule_that_matches_wins),
      cmocka_unit_test(a_range_matches_what_touches_it),
      cmocka_unit_test(first_every_and_chance_count_what_matches),
      cmocka_unit_test(a_bad_line_is_named_and_the_text_refused),
      cmocka_unit_test(an_error_may_be_an_errno_that_means_what_the_operation_makes_of_it),
      cmocka_unit_test(rules_are_bounded),
      cmocka_unit_test(an_error_before_the_operation_leaves_the_data_alone),
      cmocka_unit_test(an_error_after_the_operation_has_changed_the_data),
      cmocka_unit_test(a_delay_takes_at_least_its_time),
      cmocka_unit_test(what_is_frozen_goes_on_when_the_file_says_so),
      cmocka_unit_test(close_ends_what_is_frozen),
      cmocka_unit_test(close_ends_what_freezes_only_then),
      cmocka_unit_test(a_bad_text_is_logged_and_leaves_the_rules_as_they_were),
      cmocka_unit_test(no_control_file_means_no_faults),
      cmocka_unit_test(a_control_file_must_be_reachable),
  };
  return cmocka_run_group_tests_name("fault", tests, nullptr, nullptr);
}
