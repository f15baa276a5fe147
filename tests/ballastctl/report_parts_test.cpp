// SPDX-License-Identifier: Apache-2.0
// The parts of ballastctl report: programs with limits, and what is taken out. The bundle itself is
// in report_test.
#include <chrono>
#include <cstring>
#include <string>

#include "targetcli-config/ballastctl/report/report.h"
#include "targetcli-config/ballastctl/report/secrets.h"
#include "tests/ballastctl/tree.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::ctl::report;
using namespace std::chrono_literals;
using ballast::test::Tree;

namespace {

Output shell(const std::string& script, Nanoseconds patience = 20s, std::size_t most = 1 << 20,
             bool keep_last = false) {
  return run_bounded({"sh", "-c", script}, patience, most, keep_last);
}

void a_program_that_ends_well_has_its_output(void**) {
  const Output output = shell("echo hello; echo aside >&2");
  assert_string_equal(output.text.c_str(), "hello\n");
  assert_string_equal(output.problem.c_str(), "");
}

void one_that_hangs_is_left_with_what_it_has_said(void**) {
  const auto begin = std::chrono::steady_clock::now();
  const Output output = shell("echo hello; exec sleep 60", 3s);
  assert_true(std::chrono::steady_clock::now() - begin < 20s);
  assert_string_equal(output.text.c_str(), "hello\n");
  assert_string_equal(output.problem.c_str(), "not done within 3 s");
}

void one_that_fails_says_why(void**) {
  const Output output = shell("echo some; echo 'no bus' >&2; exit 3");
  assert_string_equal(output.text.c_str(), "some\n");
  assert_string_equal(output.problem.c_str(), "exit status 3: no bus");
  assert_non_null(strstr(run_bounded({"/no/such/program"}, 1s, 100, false).problem.c_str(),
                         "/no/such/program"));
}

void what_is_too_long_is_cut_at_the_right_end(void**) {
  assert_string_equal(shell("seq 1000", 20s, 8).text.c_str(), "1\n2\n3\n4\n");
  const Output last = shell("seq 1000", 20s, 8, true);
  assert_string_equal(last.text.c_str(), "1000\n");
  assert_string_equal(last.problem.c_str(), "cut to 8 B");
}

void members_with_secrets_are_removed_at_any_depth(void**) {
  auto json = nlohmann::ordered_json::parse(
      R"({"name": "vol0", "plugin": "user", "a": [{"chap_userid": "u", "chap_mutual_password": "p"},
          {"discovery_enable_auth": true, "attributes": {"authentication": 0, "cmdsn_depth": 64}}]})");
  assert_int_equal(remove_secrets(json), 4);
  assert_string_equal(
      json.dump().c_str(),
      R"({"name":"vol0","plugin":"user","a":[{},{"attributes":{"cmdsn_depth":64}}]})");
}

void passwords_are_found_in_both_places(void**) {
  const Tree tree;
  tree.write("/etc/target/saveconfig.json", R"({"x": [{"chap_password": "from-the-file"}]})");
  tree.write("/sys/kernel/config/target/iscsi/iqn.a/tpgt_1/acls/iqn.b/auth/password_mutual",
             "from-configfs\n");
  const std::vector<std::string> all = passwords_of(tree.files());
  assert_true(all == std::vector<std::string>({"from-configfs", "from-the-file"}));
}

void passwords_are_blotted_out_and_short_ones_are_left(void**) {
  std::string text = "a s3cret-word and s3cret-word, vol0";
  blot_out({"s3cret-word", "vol", ""}, text);
  assert_string_equal(text.c_str(), "a [removed] and [removed], vol0");
}

void lines_about_secrets_are_removed(void**) {
  std::string text = "one\nCHAP user is wrong\nset userid=x\ntwo";
  assert_int_equal(remove_lines_about_secrets(text), 2);
  assert_string_equal(text.c_str(), "one\ntwo");
  text.clear();
  assert_int_equal(remove_lines_about_secrets(text), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_program_that_ends_well_has_its_output),
      cmocka_unit_test(one_that_hangs_is_left_with_what_it_has_said),
      cmocka_unit_test(one_that_fails_says_why),
      cmocka_unit_test(what_is_too_long_is_cut_at_the_right_end),
      cmocka_unit_test(members_with_secrets_are_removed_at_any_depth),
      cmocka_unit_test(passwords_are_found_in_both_places),
      cmocka_unit_test(passwords_are_blotted_out_and_short_ones_are_left),
      cmocka_unit_test(lines_about_secrets_are_removed),
  };
  return cmocka_run_group_tests_name("report parts", tests, nullptr, nullptr);
}
