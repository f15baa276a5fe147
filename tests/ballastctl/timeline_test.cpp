// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/timeline.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>

#include "lib/watch/initiator.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::ctl::timeline;
using namespace std::chrono_literals;

namespace {

// for_ever where there is none.
Nanoseconds when(const std::vector<Event>& events, What what) {
  const auto event = std::ranges::find(events, what, &Event::what);
  return event == events.end() ? for_ever : event->at;
}

// The model gives the earliest time, and the kernel's timers are late.
void expect_measured(Nanoseconds told, std::chrono::milliseconds measured) {
  if (told > measured || measured - told > 5s) {
    print_error("told %g s, measured %g s\n", static_cast<double>(told.count()) / 1e9,
                static_cast<double>(measured.count()) / 1e3);
    assert_true(false);
  }
}

void a_short_patience_as_measured(void**) {
  const Settings settings{.abort_timeout = 4s, .replacement_timeout = 3s};
  const std::vector<Event> events = unanswered(settings);
  expect_measured(when(events, What::session_dropped), 66900ms);
  expect_measured(when(events, What::io_error), 70200ms);
}

void the_defaults_as_measured(void**) {
  const std::vector<Event> events = unanswered(Settings{});
  expect_measured(when(events, What::session_dropped), 77600ms);
  expect_measured(when(events, What::io_error), 197900ms);
  assert_true(survives_unanswered(Settings{}) == when(events, What::io_error));
  assert_true(error_handler_begins(Settings{}) == watch::error_handler_begins);
}

void busy_is_borne_for_180_s_by_default(void**) {
  assert_true(survives(Settings{}, 20s) == 180s);
  assert_true(when(answered_busy(Settings{}, 20s), What::busy) == 20s);
  assert_true(when(answered_busy(Settings{}, 20s), What::session_dropped) == for_ever);
  assert_true(survives(Settings{.timeout = 60s, .max_retries = 2}, 20s) == 180s);
}

void without_a_limit_of_retries_busy_is_borne_for_ever(void**) {
  const Settings settings{.max_retries = -1};
  assert_true(survives(settings, 20s) == for_ever);
  assert_true(when(answered_busy(settings, 20s), What::io_error) == for_ever);
  assert_true(answered_busy(settings, 20s).back().sentence.find("as long as the freeze lasts") !=
              std::string::npos);
}

void without_a_replacement_timeout_the_session_is_waited_for_for_ever(void**) {
  const Settings settings{.replacement_timeout = std::nullopt};
  assert_true(survives_unanswered(settings) == for_ever);
  assert_true(unanswered(settings).back().what == What::session_dropped);
}

void a_deadline_after_the_error_handler_is_none(void**) {
  assert_true(survives(Settings{}, 60s) == survives_unanswered(Settings{}));
  assert_true(survives(Settings{}, 59s) == 180s);
  assert_true(when(answered_busy(Settings{}, 59s), What::connection_checked) == 30s);
  assert_true(when(answered_busy(Settings{}, 20s), What::connection_checked) == for_ever);
}

void without_nops_the_error_handler_begins_at_the_first_timeout(void**) {
  const Settings settings{.noop_out_interval = 0s, .noop_out_timeout = 0s};
  assert_true(error_handler_begins(settings) == 30s);
  assert_true(when(unanswered(settings), What::connection_checked) == for_ever);
  assert_true(error_handler_begins(Settings{}) == 60s);
  assert_true(error_handler_begins(Settings{.noop_out_interval = 0s}) == 60s);
}

void eh_deadline_counts_from_the_first_timeout(void**) {
  // Over before the error handler begins: no abort, so the session lives, and the disk does not.
  const std::vector<Event> soon = unanswered(Settings{.eh_deadline = 30s});
  assert_true(when(soon, What::session_dropped) == for_ever);
  assert_true(when(soon, What::disk_offline) == 60s);
  assert_true(when(soon, What::io_error) == 60s);
  // Over while the abort is waited for.
  const std::vector<Event> later = unanswered(Settings{.eh_deadline = 40s});
  assert_true(when(later, What::session_dropped) == 75s);
  assert_true(when(later, What::io_error) == 75s);
  // Too long to matter.
  assert_true(survives_unanswered(Settings{.eh_deadline = 46s}) == 195s);
}

void what_is_too_large_is_for_ever(void**) {
  const Settings settings{.timeout = for_ever - 1ns, .replacement_timeout = for_ever};
  assert_true(error_handler_begins(settings) == for_ever);
  assert_true(survives(settings, 20s) == for_ever);
  assert_true(survives_unanswered(settings) == for_ever);
}

void expect_sound(const std::vector<Event>& events, unsigned long seed) {
  const bool ordered = std::ranges::is_sorted(events, {}, &Event::at);
  const bool spoken = std::ranges::all_of(events, [](const Event& event) {
    return event.sentence.ends_with('.') && event.others.ends_with('.');
  });
  if (!ordered || !spoken || events.front().what != What::sent) {
    print_error("seed %lu\n", seed);
    for (const Event& event : events) {
      print_error("%g s: %s: %s | %s\n", static_cast<double>(event.at.count()) / 1e9,
                  to_string(event.what), event.sentence.c_str(), event.others.c_str());
    }
    assert_true(false);
  }
}

void any_settings_give_events_in_order_and_more_patience_never_hurts(void**) {
  const char* const given = std::getenv("BALLAST_SEED");
  const unsigned long seed =
      given != nullptr ? std::strtoul(given, nullptr, 0) : std::random_device{}();
  print_message("seed %lu\n", seed);
  std::mt19937_64 random{seed};
  const auto up_to = [&random](int most) {
    return std::chrono::seconds{static_cast<int>(random() % static_cast<unsigned>(most + 1))};
  };
  for (int round = 0; round < 5000; ++round) {
    Settings settings;
    settings.timeout = 1s + up_to(120);
    settings.abort_timeout = up_to(30);
    settings.max_retries = static_cast<int>(random() % 7) - 1;
    settings.noop_out_interval = up_to(1) * 5;
    settings.noop_out_timeout = up_to(1) * 5;
    if (random() % 2 == 0) {
      settings.eh_deadline = up_to(200);
    }
    settings.replacement_timeout =
        random() % 4 == 0 ? std::nullopt : std::optional<Nanoseconds>{up_to(200)};
    const Nanoseconds deadline = 1s + up_to(100);
    expect_sound(unanswered(settings), seed);
    expect_sound(answered_busy(settings, deadline), seed);
    Settings patient = settings;
    patient.timeout += 1s;
    // With eh_deadline, a longer timeout can bring the disk offline earlier: it counts from there.
    if (!settings.eh_deadline) {
      assert_true(survives_unanswered(patient) >= survives_unanswered(settings));
      patient.replacement_timeout = std::nullopt;
      assert_true(survives_unanswered(patient) == for_ever);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_short_patience_as_measured),
      cmocka_unit_test(the_defaults_as_measured),
      cmocka_unit_test(busy_is_borne_for_180_s_by_default),
      cmocka_unit_test(without_a_limit_of_retries_busy_is_borne_for_ever),
      cmocka_unit_test(without_a_replacement_timeout_the_session_is_waited_for_for_ever),
      cmocka_unit_test(a_deadline_after_the_error_handler_is_none),
      cmocka_unit_test(without_nops_the_error_handler_begins_at_the_first_timeout),
      cmocka_unit_test(eh_deadline_counts_from_the_first_timeout),
      cmocka_unit_test(what_is_too_large_is_for_ever),
      cmocka_unit_test(any_settings_give_events_in_order_and_more_patience_never_hurts),
  };
  return cmocka_run_group_tests_name("timeline", tests, nullptr, nullptr);
}
