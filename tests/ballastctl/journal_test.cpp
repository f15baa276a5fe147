// SPDX-License-Identifier: Apache-2.0
// The fields of a record, and that the catalog explains each kind of record. That records come to a
// real journal is in tests/e2e/76-incidents.t. Run from the source's folder.
#include "targetcli-config/ballastctl/watch/journal.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <string>

#include "tests/cmocka.h"

using namespace ballast::ctl;
using nlohmann::json;
using watch_events::Event;

namespace {

bool has(const std::vector<std::string>& fields, const std::string& field) {
  return std::ranges::find(fields, field) != fields.end();
}

void a_stall_has_its_command_in_fields(void**) {
  const auto fields = journal::fields_of({"stalled",
                                          "vol\n0",
                                          "stalled: it",
                                          {{"command",
                                            {{"number", 7},
                                             {"operation", "WRITE (10)"},
                                             {"lba", 2048},
                                             {"blocks", 8},
                                             {"age_ns", 3'100'000'000},
                                             {"stage", "backend"}}}}});
  for (const char* const field :
       {"MESSAGE=vol\\x0a0: stalled: it", "BALLAST_EVENT=stalled", "BALLAST_LUN=vol\n0",
        "BALLAST_COMMAND=7", "BALLAST_OPERATION=WRITE (10)", "BALLAST_LBA=2048",
        "BALLAST_AGE_MS=3100", "BALLAST_STAGE=backend", "PRIORITY=4"}) {
    if (!has(fields, field)) {
      print_error("no %s\n", field);
      assert_true(false);
    }
  }
  assert_true(has(fields, std::string{"MESSAGE_ID="} + journal::kinds().front().message_id));
}

void a_command_without_blocks_has_no_lba(void**) {
  const auto fields = journal::fields_of({"slow",
                                          "vol0",
                                          "",
                                          {{"number", 7},
                                           {"operation", "TEST UNIT READY"},
                                           {"lba", nullptr},
                                           {"blocks", nullptr},
                                           {"took_ns", 2'000'000},
                                           {"time_in_ns", {{"queue", 1}, {"fence", 5}}}}});
  assert_true(has(fields, "BALLAST_STAGE=fence") && has(fields, "BALLAST_AGE_MS=2"));
  assert_true(std::ranges::none_of(
      fields, [](const std::string& field) { return field.starts_with("BALLAST_LBA="); }));
}

void an_event_of_a_session_names_no_lun(void**) {
  const auto fields = journal::fields_of({"state", "session1", "is FAILED", json::object()});
  assert_true(has(fields, "BALLAST_SUBJECT=session1"));
}

void the_catalog_explains_each_kind_and_nothing_else(void**) {
  std::ifstream catalog{"targetcli-config/systemd/ballast.catalog"};
  std::multiset<std::string> explained;
  for (std::string line; std::getline(catalog, line);) {
    if (line.starts_with("-- ")) {
      explained.insert(line.substr(3));
    }
  }
  std::multiset<std::string> known;
  for (const journal::Kind& kind : journal::kinds()) {
    assert_int_equal(std::string{kind.message_id}.size(), 32);
    known.insert(kind.message_id);
  }
  assert_true(explained == known);
  assert_int_equal(std::set<std::string>(known.begin(), known.end()).size(), known.size());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_stall_has_its_command_in_fields),
      cmocka_unit_test(a_command_without_blocks_has_no_lba),
      cmocka_unit_test(an_event_of_a_session_names_no_lun),
      cmocka_unit_test(the_catalog_explains_each_kind_and_nothing_else),
  };
  return cmocka_run_group_tests_name("journal", tests, nullptr, nullptr);
}
